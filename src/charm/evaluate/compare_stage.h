#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/compare.h"

namespace charm {
class OptionTable;
}

namespace charm::evaluate {

struct CompareOptions {
  /// Run A and run B. Each a result JSON of `charm evaluate` with its saved scores, a file of saved
  /// scores or of scored votes, or for arena and best-of-n a folder (or file) of `charm score`.
  std::vector<fs::path> runs;
  std::optional<Benchmark> benchmark;  ///< empty: inferred from the runs
  fs::path output;                     ///< JSON to write; empty: none
  std::int64_t bootstrap = 1000;       ///< bootstrap replicates; 0: no intervals
  std::uint64_t seed = 0;              ///< of the bootstrap
  std::int64_t max_bad_rows = 0;       ///< unusable rows tolerated per file
  fs::path ratings;                    ///< arena, where neither run is a result JSON
  std::string ratings_category;
  std::string ratings_date;
  std::map<std::string, std::string> aliases;
  std::vector<std::string>
      held_out_policies;  ///< arena: policies whose mean |MD| is also reported separately
};

/// `--compare` and `--left-out`.
void describe_runs(OptionTable& table, CompareOptions& options);

/// All options that apply to a comparison.
void describe_command(OptionTable& table, CompareOptions& options);

struct CompareResult {
  Benchmark benchmark = Benchmark::kRewardBench;
  results::Comparison comparison;
  std::string summary;  ///< a plain-text table
};

/// Compares two runs without a model and writes `output`. Throws kUsage for other than two runs,
/// kInput for runs of different benchmarks or rows and for a result whose scores file is missing.
CompareResult compare(const CompareOptions& options);

/// A run given as a path on the command line.
struct ComparedRun {
  std::string name;  ///< of the model in a result JSON, else of the file or folder
  Benchmark benchmark = Benchmark::kRewardBench;
  std::vector<fs::path> scores;
  std::map<std::string, double> ratings;  ///< of an arena result; empty otherwise
  double holdout = 0.0;    ///< of a result of votes: the share of prompts that it is on; 0: all
  std::uint64_t seed = 0;  ///< of that share
};

/// Resolves benchmark and scores of a result JSON (from its manifest, or beside it), a file of
/// saved scores (benchmark inferred from its first row) or a folder of scores of policies. An audit
/// of best-of-n is a run of the scores after correction, where it has any. Throws kInput for
/// anything else, kIo where files are missing.
ComparedRun find_run(const fs::path& path, std::optional<Benchmark> benchmark);

}  // namespace charm::evaluate
