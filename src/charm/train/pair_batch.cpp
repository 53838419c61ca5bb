#include "charm/train/pair_batch.h"

#include <algorithm>
#include <utility>

#include "charm/base/check.h"

namespace charm::train {
namespace {

using Ids = std::vector<std::int32_t>;

/// Different responses to one prompt while a batch is drafted. Refers to the pairs' tokens.
struct PromptGroup {
  const std::string* prompt_id = nullptr;
  std::vector<const Ids*> sides;
  std::size_t shared = 0;       ///< tokens that all sides begin with; each keeps one of its own
  std::size_t num_of_all = 0;   ///< tokens of all sides, each counted whole

  std::int64_t num_tokens() const {
    return static_cast<std::int64_t>(num_of_all) -
           static_cast<std::int64_t>(shared) * (static_cast<std::int64_t>(sides.size()) - 1);
  }

  /// The side's place in the group.
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

/// A batch before its tokens are laid out.
struct Draft {
  std::vector<PromptGroup> groups;
  PairRows pairs;
  std::int64_t num_tokens = 0;
  std::int64_t first_row = 0;  ///< number of the last group's first response

  /// False, with nothing changed, where the pair does not fit.
  bool add(const EncodedPair& pair, std::int64_t budget_tokens) {
    PromptGroup alone{.prompt_id = &pair.prompt_id, .sides = {}};
    alone.add(pair.chosen);
    alone.add(pair.rejected);
    std::int64_t added = alone.num_tokens();
    bool joins = false;
    if (!groups.empty() && *groups.back().prompt_id == pair.prompt_id) {
      PromptGroup joined = groups.back();
      joined.add(pair.chosen);
      joined.add(pair.rejected);
      const std::int64_t more = joined.num_tokens() - groups.back().num_tokens();
      joins = more <= added;  // one prompt_id over different conversations shares too little
      if (joins) {
        if (num_tokens + more > budget_tokens) return false;
        added = more;
        groups.back() = std::move(joined);
      }
    }
    if (!joins) {
      if (!groups.empty() && num_tokens + added > budget_tokens) return false;
      if (!groups.empty()) first_row += static_cast<std::int64_t>(groups.back().sides.size());
      groups.push_back(std::move(alone));
    }
    num_tokens += added;
    pairs.chosen.push_back(first_row + static_cast<std::int64_t>(groups.back().add(pair.chosen)));
    pairs.rejected.push_back(first_row + static_cast<std::int64_t>(groups.back().add(pair.rejected)));
    pairs.margins.push_back(pair.margin);
    return true;
  }

  PairBatch pack() && {
    std::vector<batch::TokenGroup> token_groups;
    std::size_t row = 0;
    for (const PromptGroup& group : groups) {
      const auto shared = static_cast<std::ptrdiff_t>(group.shared);
      batch::TokenGroup& tokens = token_groups.emplace_back();
      tokens.prompt_ids.assign(group.sides.front()->begin(), group.sides.front()->begin() + shared);
      for (const Ids* side : group.sides) {
        tokens.responses.emplace_back(side->begin() + shared, side->end());
        tokens.rows.push_back(row++);
      }
    }
    return {batch::pack(token_groups), std::move(pairs)};
  }
};

}  // namespace

std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens) {
  std::vector<PairBatch> batches;
  Draft draft;
  for (const std::size_t number : order) {
    if (draft.add(pairs[number], budget_tokens)) continue;
    batches.push_back(std::exchange(draft, {}).pack());
    draft.add(pairs[number], budget_tokens);
  }
  if (!draft.groups.empty()) batches.push_back(std::move(draft).pack());
  return batches;
}

}  // namespace charm::train
