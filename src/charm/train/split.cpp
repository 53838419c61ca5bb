#include "charm/train/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

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

std::vector<std::vector<std::size_t>> shuffled_units(std::span<const EncodedPair> pairs,
                                                     Shuffle shuffle) {
  std::vector<std::vector<std::size_t>> units;
  std::unordered_map<std::string_view, std::size_t> unit_of;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    std::size_t unit = units.size();
    if (shuffle == Shuffle::kPrompts)
      unit = unit_of.emplace(pairs[i].prompt_id, unit).first->second;
    if (unit == units.size()) units.emplace_back();
    units[unit].push_back(i);
  }
  return units;
}

PairSampler::PairSampler(std::vector<std::vector<std::size_t>> units, std::uint64_t seed)
    : units_(std::move(units)), seed_(seed) {
  for (const std::vector<std::size_t>& unit : units_) num_pairs_ += unit.size();
  CHARM_CHECK(num_pairs_ > 0, "no pairs to order");
}

const std::vector<std::size_t>& PairSampler::epoch(std::int64_t number) {
  if (number != current_) {
    std::vector<std::size_t> permutation(units_.size());
    std::iota(permutation.begin(), permutation.end(), std::size_t{0});
    RandomStream stream(seed_, "train_order", static_cast<std::uint64_t>(number));
    stream.shuffle(permutation);
    order_.clear();
    for (const std::size_t unit : permutation) {
      order_.insert(order_.end(), units_[unit].begin(), units_[unit].end());
    }
    current_ = number;
  }
  return order_;
}

std::vector<std::size_t> PairSampler::take(std::int64_t begin, std::int64_t end) {
  std::vector<std::size_t> order;
  const auto size = static_cast<std::int64_t>(num_pairs_);
  for (std::int64_t position = begin; position < end; ++position) {
    order.push_back(epoch(position / size)[static_cast<std::size_t>(position % size)]);
  }
  return order;
}

}  // namespace charm::train
