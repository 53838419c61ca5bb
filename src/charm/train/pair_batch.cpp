#include "charm/train/pair_batch.h"

#include <algorithm>
#include <utility>

#include "charm/base/check.h"

namespace charm::train {
namespace {

using Ids = std::vector<std::int32_t>;

/// Distinct responses to one prompt of a batch being drafted. References the pairs' tokens.
struct DraftGroup {
  const std::string* prompt_id = nullptr;
  std::vector<const Ids*> sides;
  std::size_t shared =
      0;  ///< length of the common prefix; each side keeps at least one token of its own
  std::size_t num_of_all = 0;  ///< tokens of all sides without sharing

  std::int64_t num_tokens() const {
    return static_cast<std::int64_t>(num_of_all) -
           static_cast<std::int64_t>(shared) * (static_cast<std::int64_t>(sides.size()) - 1);
  }

  /// Index of the side in the group.
  std::size_t add(const Ids& side) {
    CHARM_CHECK(!side.empty(), "a side of a pair has no tokens");
    for (std::size_t i = 0; i < sides.size(); ++i) {
      if (*sides[i] == side) return i;
    }
    if (sides.empty()) {
      shared = side.size() - 1;
    } else {
      const auto longest = static_cast<std::ptrdiff_t>(std::min(shared, side.size() - 1));
      const auto end = std::mismatch(side.begin(), side.begin() + longest, sides.front()->begin());
      shared = static_cast<std::size_t>(end.first - side.begin());
    }
    num_of_all += side.size();
    sides.push_back(&side);
    return sides.size() - 1;
  }
};

/// A batch before packing. References the pairs' tokens.
struct Draft {
  std::vector<DraftGroup> groups;
  PairRows pairs;
  std::int64_t num_tokens = 0;
  std::int64_t num_rows = 0;  ///< responses so far

  void add(const EncodedPair& pair) {
    DraftGroup alone{.prompt_id = &pair.prompt_id, .sides = {}};
    alone.add(pair.chosen);
    alone.add(pair.rejected);
    bool joins = false;
    if (!groups.empty() && *groups.back().prompt_id == pair.prompt_id) {
      DraftGroup joined = groups.back();
      joined.add(pair.chosen);
      joined.add(pair.rejected);
      const std::int64_t before = groups.back().num_tokens();
      // Different conversations under one prompt_id share too short a prefix.
      joins = joined.num_tokens() <= before + alone.num_tokens();
      if (joins) {
        num_tokens += joined.num_tokens() - before;
        num_rows += static_cast<std::int64_t>(joined.sides.size() - groups.back().sides.size());
        groups.back() = std::move(joined);
      }
    }
    if (!joins) {
      num_tokens += alone.num_tokens();
      num_rows += static_cast<std::int64_t>(alone.sides.size());
      groups.push_back(std::move(alone));
    }
    DraftGroup& group = groups.back();
    const std::int64_t first = num_rows - static_cast<std::int64_t>(group.sides.size());
    pairs.chosen.push_back(first + static_cast<std::int64_t>(group.add(pair.chosen)));
    pairs.rejected.push_back(first + static_cast<std::int64_t>(group.add(pair.rejected)));
    pairs.margins.push_back(pair.margin);
  }

  void append(Draft&& other) {
    for (DraftGroup& group : other.groups) groups.push_back(std::move(group));
    for (std::size_t i = 0; i < other.pairs.chosen.size(); ++i) {
      pairs.chosen.push_back(num_rows + other.pairs.chosen[i]);
      pairs.rejected.push_back(num_rows + other.pairs.rejected[i]);
      pairs.margins.push_back(other.pairs.margins[i]);
    }
    num_tokens += other.num_tokens;
    num_rows += other.num_rows;
  }

  PairBatch pack() && {
    std::vector<engine::PromptGroup> token_groups;
    std::size_t row = 0;
    for (const DraftGroup& group : groups) {
      const auto shared = static_cast<std::ptrdiff_t>(group.shared);
      engine::PromptGroup& tokens = token_groups.emplace_back();
      tokens.prompt_ids.assign(group.sides.front()->begin(), group.sides.front()->begin() + shared);
      for (const Ids* side : group.sides) {
        tokens.responses.emplace_back(side->begin() + shared, side->end());
        tokens.rows.push_back(row++);
      }
    }
    return {engine::pack(token_groups), std::move(pairs)};
  }
};

}  // namespace

std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens,
                                  std::int64_t prompt_tokens) {
  if (prompt_tokens == 0) prompt_tokens = 4 * budget_tokens;
  std::vector<PairBatch> batches;
  Draft draft;
  const auto add = [&](Draft&& unit) {
    if (!draft.groups.empty() && draft.num_tokens + unit.num_tokens > budget_tokens) {
      batches.push_back(std::exchange(draft, {}).pack());
    }
    draft.append(std::move(unit));
  };
  std::size_t begin = 0;
  while (begin < order.size()) {
    std::size_t end = begin;
    Draft unit;  // consecutive pairs of one prompt
    while (end < order.size() && pairs[order[end]].prompt_id == pairs[order[begin]].prompt_id) {
      unit.add(pairs[order[end++]]);
    }
    if (unit.num_tokens <= prompt_tokens) {
      add(std::move(unit));
    } else {
      for (std::size_t i = begin; i < end; ++i) {
        Draft single;
        single.add(pairs[order[i]]);
        add(std::move(single));
      }
    }
    begin = end;
  }
  if (!draft.groups.empty()) batches.push_back(std::move(draft).pack());
  return batches;
}

}  // namespace charm::train
