#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/records/records.h"
#include "charm/storage/read_options.h"
#include "charm/storage/record_reader.h"

namespace charm::prepare {

struct PrepareOptions {
  std::filesystem::path input;        ///< any data set that holds prompts
  std::filesystem::path output;       ///< prompts.parquet, or .jsonl / .jsonl.gz
  std::optional<std::int64_t> limit;  ///< keep this many prompts; empty keeps all
  std::optional<std::uint64_t>
      seed;  ///< with `limit`: draw them at random (kept in file order); empty takes the first ones
  bool dedupe =
      false;  ///< keep one of several equal conversations; otherwise repeats get "-2", "-3", ...
  /// With `near_duplicates`, prompts whose normal texts are this alike count as duplicates too:
  /// Jaccard similarity of their 5-character pieces, 0 to 1. 0.8 finds copies with a word changed;
  /// below 0.6 prompts of the same form go too. Empty: equal ones only.
  std::optional<double> near_duplicates;
  std::optional<std::int64_t>
      min_chars;  ///< leave out shorter prompts: characters of all turns but the system's
  std::optional<std::int64_t> max_chars;  ///< leave out longer ones
  std::vector<std::filesystem::path>
      exclude;  ///< benchmarks whose prompts must not be among the output's
  double exclude_overlap =
      0.5;  ///< share of runs of 8 words that counts as the same prompt, see text_overlap.h
  storage::PromptTurns turns =
      storage::PromptTurns::kFirstOfPairs;  ///< what is taken of conversations
  storage::ReadOptions read;                ///< bad rows allowed, split
};

struct PrepareResult {
  std::int64_t num_read = 0;             ///< usable rows of the input
  std::int64_t num_duplicates = 0;       ///< left out by `dedupe`
  std::int64_t num_near_duplicates = 0;  ///< left out by `near_duplicates`
  std::int64_t num_too_short = 0;
  std::int64_t num_too_long = 0;
  std::int64_t num_excluded = 0;  ///< listed in `excluded_path(output)`
  std::int64_t num_written = 0;
};

/// Prompts without those whose conversation occurred before; the first one keeps its place.
std::vector<Prompt> without_duplicates(std::span<const Prompt> prompts);

/// `limit` prompts in file order: the first ones, or with a seed a uniform draw without
/// replacement.
std::vector<Prompt> take_prompts(std::span<const Prompt> prompts, std::int64_t limit,
                                 std::optional<std::uint64_t> seed);

/// `<output>.excluded.jsonl`: with `exclude`, the prompts that were left out, each with the
/// benchmark's file and prompt and the share.
std::filesystem::path excluded_path(const std::filesystem::path& output);

/// `charm prepare`: reads `input`, leaves out by length, benchmark and likeness, in this order,
/// draws, and writes `output` and its manifest.
PrepareResult prepare(const PrepareOptions& options, const ProgressFn& progress = {});

}  // namespace charm::prepare
