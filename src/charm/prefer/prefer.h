#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "charm/base/progress.h"
#include "charm/prefer/pairing.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::prefer {

struct PreferOptions {
  std::vector<std::filesystem::path>
      scores;                         ///< score files with their texts, one or more policies each
  std::filesystem::path calibration;  ///< calibration.json: offsets per policy and the reference
  std::filesystem::path output;       ///< .parquet, .jsonl or .jsonl.gz
  PairingOptions pairing;
  bool strict = false;  ///< a prompt without a response of some calibrated policy is an error
                        ///< instead of being counted
  bool strip_thinking = false;  ///< write answers without the <think>...</think> before them; use
                                ///< it where the scores were computed so
  storage::ReadOptions read;    ///< bad rows allowed, split
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, PreferOptions& options);

/// All options of `charm prefer`.
void describe_command(OptionTable& table, PreferOptions& options);

/// Throws kUsage for settings that exclude each other.
void check_settings(const PreferOptions& options);

struct PreferResult {
  PairingCounts counts;
  std::int64_t num_pairs = 0;   ///< written
  std::int64_t num_errors = 0;  ///< rows dropped because they carry an error instead of a score
  std::int64_t num_other_policies = 0;  ///< rows dropped because their policy is not calibrated
  std::int64_t num_equal_texts = 0;     ///< pairs dropped because both responses are the same
  std::int64_t num_held_out = 0;        ///< prompts that the calibration held out; dropped
};

/// `charm prefer`: reads scores and calibration, writes preference pairs and their manifest.
PreferResult prefer(const PreferOptions& options, const ProgressFn& progress = {});

}  // namespace charm::prefer
