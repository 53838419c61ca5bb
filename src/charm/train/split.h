#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/train/pair_batch.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// Indices of the pairs: training pairs in input order, held-out pairs in the order of their
/// prompts' hashes.
struct Split {
  std::vector<std::size_t> train;
  std::vector<std::size_t> held_out;
};

/// Holds out a share of the prompts (rounded to a whole number, at least one where the share is
/// above 0, never all) with all their pairs: those with the lowest SHA-256 of seed and prompt_id.
/// Depends on the set of prompts and the seed alone.
Split split_by_prompt(std::span<const EncodedPair> pairs, double eval_fraction, std::uint64_t seed);

/// Units of the shuffle as indices of pairs: single pairs, or all pairs of a prompt (in input
/// order, prompts in order of first occurrence).
std::vector<std::vector<std::size_t>> shuffled_units(std::span<const EncodedPair> pairs,
                                                     Shuffle shuffle);

/// Random sampler without replacement: an endless sequence of epochs, each a seeded permutation of
/// the units.
class PairSampler {
 public:
  PairSampler(std::vector<std::vector<std::size_t>> units, std::uint64_t seed);

  /// Indices of the pairs at positions [begin, end) of the sequence.
  std::vector<std::size_t> take(std::int64_t begin, std::int64_t end);

 private:
  const std::vector<std::size_t>& epoch(std::int64_t number);

  std::vector<std::vector<std::size_t>> units_;
  std::size_t num_pairs_ = 0;
  std::uint64_t seed_;
  std::int64_t current_ = -1;
  std::vector<std::size_t> order_;  ///< of the current epoch
};

}  // namespace charm::train
