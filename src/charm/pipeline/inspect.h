#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/base/fs.h"
#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/score/scorer.h"
#include "charm/text/conversation_encoder.h"

namespace charm::pipeline {

struct InspectOptions {
  fs::path model_dir;
  engine::RewardModelOptions model;
  text::EncoderOptions encoder;
  score::Pooling pooling = score::Pooling::kAuto;
  bool config_only =
      false;  ///< do not load the weights: fast, but dtype, backend and speed stay unknown
  std::optional<fs::path>
      sample_file;  ///< responses to tokenise instead of a built-in conversation
};

/// Tokens of one row of `sample_file` as in charm score, or its error.
struct SampleRow {
  std::vector<std::int32_t> ids;
  std::int64_t prompt_length = 0;
  bool truncated = false;
  std::optional<std::string> error;
};

/// Measured throughput of the model on this machine.
struct MeasuredSpeed {
  std::int64_t num_tokens = 0;  ///< of the timed conversation
  double seconds = 0.0;
  double tokens_per_second() const { return static_cast<double>(num_tokens) / seconds; }
};

/// One token of the sample conversation.
struct SampleToken {
  std::int32_t id = 0;
  std::string text;
  bool is_bos = false;
  bool is_pooled = false;
};

/// Everything that `charm inspect` reports about a model.
struct Inspection {
  engine::DecoderConfig config;
  std::int64_t num_parameters = 0;  ///< of the reward model, head included
  std::int64_t weights_bytes = 0;   ///< size of the files of its weights
  std::string adapter;              ///< what was merged; "none": left out; empty: there is none
  std::string template_name;        ///< source of the chat template
  std::string template_sha256;
  std::string template_source;
  std::string tokenizer_sha256;  ///< of tokenizer.json
  std::size_t tokenizer_entries = 0;
  std::vector<SampleRow>
      samples;  ///< with `sample_file`, all of its rows; `sample` is the first without an error
  std::vector<SampleToken> sample;
  std::optional<float> sample_score;  ///< absent with `config_only` and for a causal LM
  std::vector<std::pair<std::string, std::string>>
      provenance;                         ///< as in the manifest of a scores file
  std::optional<MeasuredSpeed> speed;     ///< if the weights were loaded
  std::int64_t memory_float32_bytes = 0;  ///< weights and workspace, estimated
  std::int64_t memory_bfloat16_bytes = 0;
  std::int64_t memory_gpu_bytes = 0;  ///< of a GPU, in bfloat16
  std::vector<std::string> warnings;
};

Inspection inspect_model(const InspectOptions& options);

std::string inspection_text(const Inspection& inspection);
nlohmann::ordered_json inspection_json(const Inspection& inspection);

/// Parameters of the model that the config describes, head included.
std::int64_t count_parameters(const engine::DecoderConfig& config);

}  // namespace charm::pipeline
