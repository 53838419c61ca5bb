#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/records/records.h"
#include "charm/storage/read_options.h"

namespace charm::prepare {

struct PrepareOptions {
  std::filesystem::path input;        ///< any data set that holds prompts
  std::filesystem::path output;       ///< prompts.parquet, or .jsonl / .jsonl.gz
  std::optional<std::int64_t> limit;  ///< keep this many prompts; empty keeps all
  std::optional<std::uint64_t>
      seed;  ///< with `limit`: draw them at random (kept in file order); empty takes the first ones
  bool dedupe =
      false;  ///< keep one of several equal conversations; otherwise repeats get "-2", "-3", ...
  storage::ReadOptions read;  ///< bad rows allowed, split
};

struct PrepareResult {
  std::int64_t num_read = 0;        ///< usable rows of the input
  std::int64_t num_duplicates = 0;  ///< left out by `dedupe`
  std::int64_t num_written = 0;
};

/// Prompts without those whose conversation occurred before; the first one keeps its place.
std::vector<Prompt> without_duplicates(std::span<const Prompt> prompts);

/// `limit` prompts in file order: the first ones, or with a seed a uniform draw without
/// replacement.
std::vector<Prompt> take_prompts(std::span<const Prompt> prompts, std::int64_t limit,
                                 std::optional<std::uint64_t> seed);

/// `charm prepare`: reads `input`, writes `output` and its manifest.
PrepareResult prepare(const PrepareOptions& options, const ProgressFn& progress = {});

}  // namespace charm::prepare
