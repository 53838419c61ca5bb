#include "charm/batch/token_budget.h"

#include <map>

namespace charm::batch {
namespace {

// Cuts a group into parts that fit the budget; every part names the prompt, which is computed for
// the first.
std::vector<TokenGroup> split_group(TokenGroup group, std::int64_t budget_tokens) {
  std::vector<TokenGroup> parts;
  auto used = static_cast<std::int64_t>(group.prompt_ids.size());
  for (std::size_t r = 0; r < group.responses.size(); ++r) {
    const auto length = static_cast<std::int64_t>(group.responses[r].size());
    if (parts.empty() || (used + length > budget_tokens && !parts.back().responses.empty())) {
      if (!parts.empty()) {
        parts.back().continues = true;
        used = 0;
      }
      parts.emplace_back().prompt_ids = group.prompt_ids;
    }
    parts.back().responses.push_back(std::move(group.responses[r]));
    parts.back().rows.push_back(group.rows[r]);
    used += length;
  }
  return parts;
}

}  // namespace

std::vector<TokenGroup> group_by_prompt(std::vector<std::pair<std::size_t, PooledRow>> rows) {
  std::vector<TokenGroup> groups;
  std::map<std::vector<std::int32_t>, std::size_t> group_of_prompt;
  for (auto& [number, row] : rows) {
    const auto border = row.ids.begin() + row.prompt_length;
    std::vector<std::int32_t> prompt(row.ids.begin(), border);
    const auto [entry, is_new] = group_of_prompt.try_emplace(prompt, groups.size());
    if (is_new) groups.push_back({std::move(prompt), {}, {}});
    TokenGroup& group = groups[entry->second];
    group.responses.emplace_back(border, row.ids.end());
    group.rows.push_back(number);
  }
  return groups;
}

std::vector<std::vector<TokenGroup>> plan_batches(std::vector<TokenGroup> groups,
                                                  std::int64_t budget_tokens) {
  std::vector<std::vector<TokenGroup>> batches;
  std::int64_t used = 0;
  for (TokenGroup& group : groups) {
    const std::int64_t tokens = group.num_tokens();
    if (tokens > budget_tokens) {
      for (TokenGroup& part : split_group(std::move(group), budget_tokens)) {
        used = part.num_tokens();
        batches.emplace_back().push_back(std::move(part));
      }
      continue;
    }
    if (batches.empty() || used + tokens > budget_tokens) {
      batches.emplace_back();
      used = 0;
    }
    used += tokens;
    batches.back().push_back(std::move(group));
  }
  return batches;
}

}  // namespace charm::batch
