#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/storage/read_options.h"
#include "charm/storage/record_reader.h"

namespace charm {
class OptionTable;
struct Prompt;
}  // namespace charm

namespace charm::prepare {

struct PrepareOptions {
  std::filesystem::path input;        ///< any dataset with prompts
  std::filesystem::path output;       ///< prompts.parquet, or .jsonl / .jsonl.gz
  std::optional<std::int64_t> limit;  ///< keep this many prompts; empty keeps all
  std::optional<std::uint64_t>
      seed;  ///< with `limit`: a random sample (in file order); empty: the first ones
  bool dedupe =
      false;  ///< keep one of equal conversations; otherwise repeated ids get "-2", "-3", ...
  /// Also drop near-duplicates with this Jaccard similarity of character 5-grams, 0 to 1. 0.8 finds
  /// copies with a changed word; below 0.6 it also drops prompts from the same template. Empty:
  /// equal ones only.
  std::optional<double> near_duplicates;
  std::optional<std::int64_t>
      min_chars;  ///< drop shorter prompts: characters of all turns except the system's
  std::optional<std::int64_t> max_chars;  ///< drop longer ones
  std::vector<std::filesystem::path>
      exclude;  ///< benchmarks whose prompts to exclude (decontamination)
  double exclude_overlap =
      0.5;  ///< share of common word 8-grams to count as the same, see text_overlap.h
  storage::PromptTurns turns =
      storage::PromptTurns::kFirstOfPairs;  ///< turns to take from conversations
  storage::ReadOptions read;                ///< invalid rows, split
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, PrepareOptions& options);

/// All options of `charm prepare`.
void describe_command(OptionTable& table, PrepareOptions& options);

/// Throws kUsage for settings that exclude each other, or are out of range.
void check_settings(const PrepareOptions& options);

struct PrepareResult {
  std::int64_t num_read = 0;             ///< valid rows of the input
  std::int64_t num_duplicates = 0;       ///< dropped by `dedupe`
  std::int64_t num_near_duplicates = 0;  ///< dropped by `near_duplicates`
  std::int64_t num_too_short = 0;
  std::int64_t num_too_long = 0;
  std::int64_t num_excluded = 0;  ///< listed in `excluded_path(output)`
  std::int64_t num_written = 0;
};

/// Prompts without repeated conversations; the first occurrence is kept.
std::vector<Prompt> without_duplicates(std::span<const Prompt> prompts);

/// `limit` prompts in file order: the first ones, or with a seed a uniform sample without
/// replacement.
std::vector<Prompt> sample_prompts(std::span<const Prompt> prompts, std::int64_t limit,
                                   std::optional<std::uint64_t> seed);

/// `<output>.excluded.jsonl`: the prompts dropped by `exclude`, each with the benchmark's file and
/// prompt and the overlap.
std::filesystem::path excluded_path(const std::filesystem::path& output);

/// `charm prepare`: reads `input`, drops duplicates, filters by length, benchmark overlap and
/// near-duplicates, in this order, samples, and writes `output` and its manifest.
PrepareResult prepare(const PrepareOptions& options, const ProgressFn& progress = {});

}  // namespace charm::prepare
