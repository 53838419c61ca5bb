#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "charm/engine/causal_lm.h"
#include "charm/generate/generation.h"
#include "charm/storage/provenance.h"
#include "charm/text/conversation_encoder.h"

namespace charm::generate {

struct EmbeddedOptions {
  std::filesystem::path model_dir;  ///< a causal LM in Hugging Face form
  engine::DTypeChoice dtype = engine::DTypeChoice::kAuto;
  engine::DeviceChoice device = engine::DeviceChoice::kAuto;
  int threads = 0;  ///< 0: all processors of this process
  engine::ModelSourceOptions source{};
  std::int64_t cache_bytes = std::int64_t{2}
                             << 30;  ///< KV cache size; larger allows more concurrent sequences
  std::int64_t max_batch = 64;  ///< concurrent sequences; more raise throughput and need more cache
  std::int64_t chunk_tokens = 256;  ///< tokens per step: prompts are prefilled in chunks
  std::optional<std::filesystem::path> template_file;  ///< overrides the model's own chat template
  std::string template_date = "2024-07-26";            ///< date of strftime_now in templates
  std::string template_kwargs;  ///< JSON object of further variables for the template
  text::BosPolicy bos = text::BosPolicy::kOnce;
};

/// Generates responses with a model in this process. A response is a function of the model, the
/// prompt tokens, the sampling settings and its key (seed, prompt_id, sample); on a CPU bit for
/// bit, regardless of batch composition. Requests with equal prompts share the prompt's KV cache
/// blocks.
///
/// A prompt that exceeds the model's context, is empty, or is rejected by the template gives a row
/// with an error. A response ends with "length" at max_new_tokens or at the end of the model's
/// context. Not thread-safe.
class EmbeddedGenerator final : public Generator {
 public:
  /// @param stop_tokens  ids that end a response, besides those of the sampling options
  EmbeddedGenerator(std::unique_ptr<engine::CausalLM> model,
                    std::unique_ptr<text::ConversationEncoder> encoder,
                    std::set<std::int32_t> stop_tokens, const EmbeddedOptions& options,
                    storage::Provenance provenance);

  void generate(std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
                const GeneratedFn& on_generated) override;

  /// What a response depends on besides its row and the sampling options: program, hashes of model,
  /// tokenizer and template, dtype, device, backend, bos, template-date.
  const storage::Provenance& provenance() const { return provenance_; }
  const std::set<std::int32_t>& stop_tokens() const { return stop_tokens_; }

 private:
  std::unique_ptr<engine::CausalLM> model_;
  std::unique_ptr<text::ConversationEncoder> encoder_;
  std::set<std::int32_t> stop_tokens_;
  EmbeddedOptions options_;
  storage::Provenance provenance_;
};

/// Loads model, tokenizer and template. Throws as `engine::load_causal_lm` and
/// `text::ConversationEncoder` do.
std::unique_ptr<EmbeddedGenerator> make_embedded_generator(const EmbeddedOptions& options);

}  // namespace charm::generate
