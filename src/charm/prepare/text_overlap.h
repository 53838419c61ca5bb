#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/records/records.h"

// When two texts are the same but for spelling, and how much of one stands in another. Texts are
// compared in normal form: ASCII letters in lower case, every run of blanks and ASCII punctuation
// one blank, other characters as they are.
namespace charm::prepare {

std::string normal_text(std::string_view text);

/// The normal form of all turns but the system's, one after the other.
std::string normal_prompt(const Conversation& prompt);

/// Hashes of the 5-character pieces (code points) of a normal text, sorted, each once; of the whole
/// text where it is shorter.
std::vector<std::uint64_t> character_pieces(std::string_view normal);

/// Hashes of the runs of 8 words, sorted, each once; none where there are fewer words. Words are
/// parted by blanks; Chinese, Japanese and Korean characters are words of their own.
std::vector<std::uint64_t> word_runs(std::string_view normal);

/// Share of the union that both sets have. Sorted sets.
double jaccard(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

/// Which prompts are alike one that came before and was kept: Jaccard similarity of their
/// 5-character pieces at least `threshold`. Candidates come from MinHash signatures (16 bands of 5;
/// Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4), and each
/// is compared exactly: a pair at similarity 0.8 is found with probability 0.998, one at 0.9 with 1
/// - 1e-6.
std::vector<bool> find_near_duplicates(std::span<const Prompt> prompts, double threshold);

/// Why a prompt counts as one of a benchmark's.
struct Overlap {
  std::size_t benchmark = 0;  ///< place in the list given
  double share = 0.0;         ///< 1: the normal texts are equal
};

/// Finds prompts of benchmarks among others. Not changed after construction; safe to use from
/// several threads.
class BenchmarkIndex {
 public:
  explicit BenchmarkIndex(std::span<const Prompt> benchmark);

  /// The benchmark prompt that is the same in normal form (of the whole conversation or of its
  /// first user turn), or that shares at least `threshold` of its own or of the prompt's runs of 8
  /// words; the one that shares most. Empty where there is none.
  std::optional<Overlap> find(const Conversation& prompt, double threshold) const;

 private:
  struct Entry {
    std::uint64_t hash;
    std::uint32_t benchmark;
  };
  std::vector<Entry> texts_;  // of whole normal texts, sorted by hash
  std::vector<Entry> runs_;   // of runs of words, sorted by hash
  std::vector<std::size_t> num_runs_;
};

}  // namespace charm::prepare
