#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// A run given as a path on the command line.
struct ComparedRun {
  std::string name;  ///< of the model in a result JSON, else of the file or folder
  Benchmark benchmark = Benchmark::kRewardBench;
  std::vector<fs::path> scores;
  std::map<std::string, double> ratings;  ///< of an arena result; empty otherwise
};

/// Resolves benchmark and scores of a result JSON (from its manifest, or beside it), a file of
/// saved scores (benchmark inferred from its first row) or a folder of scores of policies. Throws
/// kInput for anything else, kIo where files are missing.
ComparedRun find_run(const fs::path& path, std::optional<Benchmark> benchmark);

}  // namespace charm::evaluate
