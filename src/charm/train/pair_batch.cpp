#include "charm/train/pair_batch.h"

#include <algorithm>
#include <utility>

#include "charm/base/check.h"

namespace charm::train {
namespace {

PairBatch pack_batch(std::span<const EncodedPair> pairs, std::span<const std::size_t> order) {
  PairBatch batch;
  std::vector<batch::TokenGroup> groups;
  for (const std::size_t number : order) {
    const EncodedPair& pair = pairs[number];
    const std::size_t row = 2 * groups.size();
    groups.push_back({.prompt_ids = pair.shared,
                      .responses = {pair.chosen, pair.rejected},
                      .rows = {row, row + 1}});
    batch.margins.push_back(pair.margin);
  }
  batch.packed = batch::pack(groups);
  return batch;
}

}  // namespace

EncodedPair make_pair(std::string prompt_id, const std::vector<std::int32_t>& chosen,
                      const std::vector<std::int32_t>& rejected, float margin) {
  CHARM_CHECK(!chosen.empty() && !rejected.empty(), "a side of a pair has no tokens");
  const auto longest = static_cast<std::ptrdiff_t>(std::min(chosen.size(), rejected.size()) - 1);
  const auto split = std::mismatch(chosen.begin(), chosen.begin() + longest, rejected.begin());
  EncodedPair pair;
  pair.prompt_id = std::move(prompt_id);
  pair.shared.assign(chosen.begin(), split.first);
  pair.chosen.assign(split.first, chosen.end());
  pair.rejected.assign(split.second, rejected.end());
  pair.margin = margin;
  return pair;
}

std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens) {
  std::vector<PairBatch> batches;
  std::size_t begin = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i <= order.size(); ++i) {
    const std::int64_t next = i < order.size() ? pairs[order[i]].num_tokens() : 0;
    if (i > begin && (i == order.size() || tokens + next > budget_tokens)) {
      batches.push_back(pack_batch(pairs, order.subspan(begin, i - begin)));
      begin = i;
      tokens = 0;
    }
    tokens += next;
  }
  return batches;
}

}  // namespace charm::train
