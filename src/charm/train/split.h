#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/train/pair_batch.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// Pairs by number: those to train on in input order, those held out in the order of their prompts'
/// hashes.
struct Split {
  std::vector<std::size_t> train;
  std::vector<std::size_t> held_out;
};

/// Holds out a share of the prompts (rounded to a whole number, at least one where the share is
/// above 0, never all) with all their pairs: those with the lowest SHA-256 of seed and prompt_id.
/// Depends on the set of prompts and the seed alone.
Split split_by_prompt(std::span<const EncodedPair> pairs, double eval_fraction, std::uint64_t seed);

/// Numbers of the pairs that stay together when a run shuffles: one by one, or all of a prompt (in
/// input order, prompts in the order in which they first occur).
std::vector<std::vector<std::size_t>> shuffled_units(std::span<const EncodedPair> pairs,
                                                     Shuffle shuffle);

/// The order in which a run sees its pairs: every epoch a permutation of the units, one after the
/// other without a seam.
class PairOrder {
 public:
  PairOrder(std::vector<std::vector<std::size_t>> units, std::uint64_t seed);

  /// Numbers of the pairs at positions [begin, end) of the endless sequence.
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
