#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "charm/base/progress.h"
#include "charm/generate/embedded_generator.h"
#include "charm/generate/generation.h"
#include "charm/generate/server_generator.h"
#include "charm/storage/provenance.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::generate {

struct GenerateStageOptions {
  std::filesystem::path prompts;  ///< any dataset with prompts
  std::string policy;             ///< name of the policy in the output
  std::filesystem::path output;   ///< responses: .parquet, .jsonl or .jsonl.gz
  std::optional<std::filesystem::path>
      model_dir;             ///< Hugging Face folder of a causal LM; or servers:
  EmbeddedOptions embedded;  ///< its folder, cache size and template are set from the other options
  double cache_gib = 2.0;    ///< KV cache of an embedded model, GiB
  ServerOptions server;      ///< if `urls` is not empty
  SamplingOptions
      sampling;  ///< top_k, min_p and repetition_penalty are overridden by the following
  std::optional<std::int64_t> top_k;  ///< keep this many of the most likely tokens; 0: all
  std::optional<double> min_p;  ///< keep tokens at least this likely relative to the most likely
  std::optional<double> repetition_penalty;  ///< above 1: tokens in the context become less likely
  std::int32_t num_samples = 1;              ///< responses per prompt; several for best-of-n
  std::string system;             ///< system message prepended to prompts without one; empty: none
  storage::ReadOptions read;      ///< of the prompts: invalid rows, split
  std::int64_t max_bad_rows = 0;  ///< invalid prompts and failed responses to tolerate
  bool fresh = false;             ///< discard the output and journal of an earlier run
  bool replace_other =
      false;  ///< overwrite an output of other prompts or options; otherwise an error
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, GenerateStageOptions& options);

/// All options of `charm generate`.
void describe_command(OptionTable& table, GenerateStageOptions& options);

struct GenerateStageResult {
  std::int64_t num_rows = 0;
  std::int64_t num_errors = 0;    ///< rows with an error instead of a response
  std::int64_t num_length = 0;    ///< truncated responses
  std::int64_t num_early = 0;     ///< of these, before max_new_tokens: at the end of the context
  std::int64_t early_tokens = 0;  ///< of their prompts and responses together, at most
  std::int64_t num_tokens = 0;    ///< output tokens, if the generator reports them
  std::int64_t num_resumed = 0;   ///< rows restored from the journal
  bool skipped = false;           ///< the output was complete already
  /// All samples of every prompt are equal although the temperature is above 0.
  bool ignores_temperature = false;
};

/// `charm generate`: generates responses to prompts, writes `output` and its manifest. Rows are in
/// prompt order, the samples of a prompt together. Each response is appended to a journal when it
/// completes: an interrupted run resumes with the others. Failed rows are retried by the next run
/// until the output is written.
GenerateStageResult generate_stage(const GenerateStageOptions& options,
                                   const ProgressFn& progress = {});

/// The same with a given generator; `facts` is its provenance in journal, manifest and Parquet
/// file.
GenerateStageResult generate_stage(const GenerateStageOptions& options, Generator& generator,
                                   const storage::Provenance& facts,
                                   const ProgressFn& progress = {});

}  // namespace charm::generate
