#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "charm/base/progress.h"
#include "charm/generate/embedded_generator.h"
#include "charm/generate/generation.h"
#include "charm/generate/server_options.h"
#include "charm/storage/provenance.h"
#include "charm/storage/read_options.h"

namespace charm::generate {

struct GenerateStageOptions {
  std::filesystem::path prompts;  ///< any data set that holds prompts
  std::string policy;             ///< name of the policy in the output
  std::filesystem::path output;   ///< responses: .parquet, .jsonl or .jsonl.gz
  std::optional<std::filesystem::path>
      model_dir;             ///< Hugging Face folder of a causal language model; or servers:
  EmbeddedOptions embedded;  ///< how it is run; its folder, cache and template stand here
  double cache_gib = 2.0;    ///< memory for keys and values of a model of this process, GiB
  ServerOptions server;      ///< servers, where `urls` is not empty
  SamplingOptions sampling;  ///< top_k, min_p and repetition_penalty come from the three below
  std::optional<std::int64_t> top_k;  ///< keep this many of the likeliest tokens; 0: all
  std::optional<double> min_p;  ///< keep tokens at least this likely relative to the likeliest
  std::optional<double> repetition_penalty;  ///< above 1: tokens already seen become less likely
  std::int32_t num_samples = 1;              ///< responses per prompt; several for best-of-n
  std::string system;         ///< system message put before prompts that have none; empty: none
  storage::ReadOptions read;  ///< unusable rows of the prompts, split
  std::int64_t max_bad_rows =
      0;  ///< unusable prompts, and responses that may fail, before the command ends without output
  bool fresh = false;  ///< forget what an earlier run finished
  bool replace_other =
      false;  ///< an output of other prompts or options is replaced; otherwise it is an error
};

struct GenerateStageResult {
  std::int64_t num_rows = 0;
  std::int64_t num_errors = 0;   ///< rows that carry an error instead of a response
  std::int64_t num_length = 0;   ///< responses cut at the token limit
  std::int64_t num_tokens = 0;   ///< written, as far as the generator counts them
  std::int64_t num_resumed = 0;  ///< rows taken over from an interrupted run
  bool skipped = false;          ///< everything was there already
};

/// `charm generate`: reads prompts, has them answered, writes `output` and its manifest. Rows stand
/// in the order of the prompts, the samples of one prompt together. Each finished response goes
/// into a journal at once: an interrupted run asks for the others only. Rows without a response are
/// asked for again by the next run as long as the output is not there.
GenerateStageResult generate_stage(const GenerateStageOptions& options,
                                   const ProgressFn& progress = {});

/// The same with a generator of the caller's; `facts` say in journal, manifest and Parquet file
/// what it is.
GenerateStageResult generate_stage(const GenerateStageOptions& options, Generator& generator,
                                   const storage::Provenance& facts,
                                   const ProgressFn& progress = {});

}  // namespace charm::generate
