#include "charm/train/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "charm/base/check.h"
#include "charm/base/hashing.h"
#include "charm/base/random.h"

namespace charm::train {

Split split_by_prompt(std::span<const EncodedPair> pairs, double eval_fraction,
                      std::uint64_t seed) {
  std::map<std::string, std::vector<std::size_t>> by_hash;  // prompts in the order of their hashes
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    by_hash[sha256_hex(fmt::format("{}:{}", seed, pairs[i].prompt_id))].push_back(i);
  }
  const auto num_prompts = static_cast<double>(by_hash.size());
  double num_held_out =
      eval_fraction > 0.0 ? std::max(1.0, std::round(eval_fraction * num_prompts)) : 0.0;
  num_held_out = std::min(num_held_out, num_prompts - 1.0);

  Split split;
  double prompt = 0.0;
  for (const auto& [hash, members] : by_hash) {
    std::vector<std::size_t>& side = prompt++ < num_held_out ? split.held_out : split.train;
    side.insert(side.end(), members.begin(), members.end());
  }
  std::ranges::sort(split.train);
  return split;
}

PairOrder::PairOrder(std::size_t num_pairs, std::uint64_t seed)
    : num_pairs_(num_pairs), seed_(seed) {
  CHARM_CHECK(num_pairs > 0, "no pairs to order");
}

const std::vector<std::size_t>& PairOrder::epoch(std::int64_t number) {
  if (number != current_) {
    permutation_.resize(num_pairs_);
    std::iota(permutation_.begin(), permutation_.end(), std::size_t{0});
    RandomStream stream(seed_, "train_order", static_cast<std::uint64_t>(number));
    stream.shuffle(permutation_);
    current_ = number;
  }
  return permutation_;
}

std::vector<std::size_t> PairOrder::take(std::int64_t begin, std::int64_t end) {
  std::vector<std::size_t> order;
  const auto size = static_cast<std::int64_t>(num_pairs_);
  for (std::int64_t position = begin; position < end; ++position) {
    order.push_back(epoch(position / size)[static_cast<std::size_t>(position % size)]);
  }
  return order;
}

}  // namespace charm::train
