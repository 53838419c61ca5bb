#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm {
struct Conversation;
struct Prompt;
}  // namespace charm

// Near-duplicate and contamination checks. Texts are compared in normalized form: ASCII letters in
// lower case, every run of white space and ASCII punctuation replaced by one space, other
// characters unchanged.
namespace charm::prepare {

std::string normalized_text(std::string_view text);

/// The normalized text of all turns except the system's, concatenated.
std::string normalized_prompt(const Conversation& prompt);

/// Hashes of the character 5-grams (code points) of a normalized text, sorted and unique; of the
/// whole text if it is shorter.
std::vector<std::uint64_t> character_ngrams(std::string_view normalized);

/// Hashes of the word 8-grams, sorted and unique; none if there are fewer words. Words are
/// separated by spaces; each Chinese, Japanese or Korean character is a word.
std::vector<std::uint64_t> word_ngrams(std::string_view normalized);

/// Jaccard similarity of two sorted sets.
double jaccard(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

/// Which prompts are near-duplicates of an earlier kept one: Jaccard similarity of their character
/// 5-grams of at least `threshold`. Candidates come from MinHash signatures (16 bands of 5;
/// Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4), and each
/// is compared exactly: a pair at similarity 0.8 is found with probability 0.998, one at 0.9 with 1
/// - 1e-6.
std::vector<bool> find_near_duplicates(std::span<const Prompt> prompts, double threshold);

/// Overlap of a prompt with a benchmark prompt.
struct Overlap {
  std::size_t benchmark = 0;  ///< index in the given list
  double share = 0.0;         ///< 1: the normalized texts are equal
};

/// Finds prompts that overlap with benchmark prompts (contamination). Immutable and thread-safe.
class BenchmarkIndex {
 public:
  explicit BenchmarkIndex(std::span<const Prompt> benchmark);

  /// The benchmark prompt that is equal in normalized form (as a whole or in its first user turn),
  /// or else the one with the most common word 8-grams, if these are at least `threshold` of its
  /// own or of the prompt's. Empty if there is none.
  std::optional<Overlap> find(const Conversation& prompt, double threshold) const;

 private:
  struct Entry {
    std::uint64_t hash;
    std::uint32_t benchmark;
  };
  std::vector<Entry> texts_;   // of whole normalized texts, sorted by hash
  std::vector<Entry> ngrams_;  // of word n-grams, sorted by hash
  std::vector<std::size_t> num_ngrams_;
};

}  // namespace charm::prepare
