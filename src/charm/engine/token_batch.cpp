#include "charm/engine/token_batch.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"

namespace charm::engine {
namespace {

// Splits a group into parts that fit the budget; every part names the prompt, which only the first
// computes.
std::vector<PromptGroup> split_group(PromptGroup group, std::int64_t budget_tokens) {
  std::vector<PromptGroup> parts;
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
    if (!group.num_cut.empty()) parts.back().num_cut.push_back(group.num_cut[r]);
    used += length;
  }
  return parts;
}

void append(PackedBatch& batch, const std::vector<std::int32_t>& ids, std::int64_t first_position) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    batch.ids.push_back(ids[i]);
    batch.positions.push_back(
        static_cast<std::int32_t>(first_position + static_cast<std::int64_t>(i)));
  }
}

}  // namespace

std::int64_t PromptGroup::num_tokens() const {
  auto count = static_cast<std::int64_t>(prompt_ids.size());
  for (const auto& response : responses) count += static_cast<std::int64_t>(response.size());
  return count;
}

std::vector<PromptGroup> group_by_prompt(std::vector<std::pair<std::size_t, PooledRow>> rows,
                                         bool shares_prompts) {
  std::vector<PromptGroup> groups;
  std::map<std::vector<std::int32_t>, std::size_t> group_of_prompt;
  for (auto& [number, row] : rows) {
    const auto border = row.ids.begin() + row.prompt_length;
    std::vector<std::int32_t> prompt(row.ids.begin(), border);
    std::size_t place = groups.size();
    if (shares_prompts) place = group_of_prompt.try_emplace(prompt, place).first->second;
    if (place == groups.size())
      groups.push_back({.prompt_ids = std::move(prompt), .responses = {}, .rows = {}});
    PromptGroup& group = groups[place];
    group.responses.emplace_back(border, row.ids.end());
    group.rows.push_back(number);
    group.num_cut.push_back(row.num_cut);
  }
  return groups;
}

std::vector<std::vector<PromptGroup>> plan_batches(std::vector<PromptGroup> groups,
                                                   std::int64_t budget_tokens) {
  std::vector<std::vector<PromptGroup>> batches;
  std::int64_t used = 0;
  for (PromptGroup& group : groups) {
    const std::int64_t tokens = group.num_tokens();
    if (tokens > budget_tokens) {
      for (PromptGroup& part : split_group(std::move(group), budget_tokens)) {
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

PackedBatch pack(const std::vector<PromptGroup>& groups) {
  PackedBatch batch;
  for (const PromptGroup& group : groups) {
    CHARM_CHECK(group.responses.size() == group.rows.size(),
                "a group has {} responses and {} row numbers", group.responses.size(),
                group.rows.size());
    CHARM_CHECK(!group.continues || &group == &groups.back(),
                "a group that is not the last continues");
    batch.last_prompt_continues = group.continues && !group.prompt_ids.empty();
    const std::int64_t prompt_begin = batch.num_tokens();
    const auto prompt_length = static_cast<std::int64_t>(group.prompt_ids.size());
    append(batch, group.prompt_ids, /*first_position=*/0);
    if (prompt_length > 0) batch.prompts.push_back({prompt_begin, 0, prompt_begin, prompt_length});
    for (std::size_t r = 0; r < group.responses.size(); ++r) {
      const auto& response = group.responses[r];
      CHARM_CHECK(!response.empty(), "response {} of a group has no tokens", r);
      batch.responses.push_back({prompt_begin, prompt_length, batch.num_tokens(),
                                 static_cast<std::int64_t>(response.size()),
                                 group.num_cut.empty() ? 0 : group.num_cut[r]});
      append(batch, response, prompt_length);
      batch.last.push_back(batch.num_tokens() - 1);
      batch.rows.push_back(group.rows[r]);
    }
  }
  return batch;
}

bool shares_long_prompts(const PackedBatch& batch, std::int64_t longest) {
  return std::ranges::any_of(batch.responses, [&](const Segment& s) {
    return s.prompt_length > 0 && s.sequence_length() > longest;
  });
}

PackedBatch unshare_long_prompts(const PackedBatch& batch, std::int64_t longest) {
  PackedBatch result;
  const auto copy = [&](std::int64_t begin, std::int64_t length) {
    const std::int64_t at = result.num_tokens();
    result.ids.insert(result.ids.end(), batch.ids.begin() + begin,
                      batch.ids.begin() + begin + length);
    result.positions.insert(result.positions.end(), batch.positions.begin() + begin,
                            batch.positions.begin() + begin + length);
    return at;
  };
  std::map<std::int64_t, std::int64_t> shared;  // prompt_begin in `batch` -> in `result`
  for (const Segment& s : batch.responses) {
    Segment moved = s;
    if (s.prompt_length > 0) {
      const bool own = s.sequence_length() > longest;
      const auto found = shared.find(s.prompt_begin);
      if (own || found == shared.end()) {
        moved.prompt_begin = copy(s.prompt_begin, s.prompt_length);
        result.prompts.push_back({moved.prompt_begin, 0, moved.prompt_begin, s.prompt_length});
        if (!own) shared.emplace(s.prompt_begin, moved.prompt_begin);
      } else {
        moved.prompt_begin = found->second;
      }
    }
    moved.response_begin = copy(s.response_begin, s.response_length);
    result.responses.push_back(moved);
    result.last.push_back(moved.response_begin + s.response_length - 1);
  }
  result.rows = batch.rows;
  return result;
}

GatedBatch add_gates(const PackedBatch& batch, std::span<const std::int32_t> gate_tokens) {
  GatedBatch result{batch, {}};
  PackedBatch& packed = result.packed;
  std::map<std::int64_t, std::int64_t> gate_of_prompt;  // prompt_begin -> its gate
  for (const Segment& s : batch.responses) {
    const auto begin = batch.ids.begin() + s.response_begin;
    CHARM_CHECK(s.response_length >= std::ssize(gate_tokens) &&
                    std::equal(gate_tokens.begin(), gate_tokens.end(), begin),
                "a response does not begin with the gate tokens");
    const auto gate = static_cast<std::int64_t>(packed.responses.size());
    const auto [entry, is_new] = s.prompt_length > 0
                                     ? gate_of_prompt.try_emplace(s.prompt_begin, gate)
                                     : std::pair(gate_of_prompt.end(), true);
    result.gate_of.push_back(is_new ? gate : entry->second);
    if (!is_new) continue;
    packed.responses.push_back({s.prompt_begin, s.prompt_length, packed.num_tokens(), 1});
    packed.last.push_back(packed.num_tokens());
    packed.rows.push_back(batch.rows[static_cast<std::size_t>(&s - batch.responses.data())]);
    packed.ids.push_back(gate_tokens.front());
    packed.positions.push_back(static_cast<std::int32_t>(s.prompt_length));
  }
  return result;
}

PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length,
                          std::int32_t pad_token_id, std::span<const std::int32_t> gate_tokens) {
  const std::size_t num_tokens = ids.size();
  if (pad_token_id >= 0) {
    while (!ids.empty() && ids.back() == pad_token_id) ids.pop_back();
  }
  if (ids.empty()) {
    throw Error(
        ErrorKind::kInput,
        "the conversation has no token to pool: expected at least one other than pad_token_id {}",
        pad_token_id);
  }
  if (!gate_tokens.empty()) {
    const auto gate = std::find_end(ids.begin(), ids.end(), gate_tokens.begin(), gate_tokens.end());
    if (gate == ids.end()) {
      throw Error(
          ErrorKind::kInput,
          "the conversation does not contain the tokens {} (end of turn and assistant header of "
          "the chat template this reward model was trained with), whose hidden state its gating "
          "network reads: use the model's own template, or a larger --max-tokens where the "
          "conversation was truncated from the left",
          fmt::join(gate_tokens, " "));
    }
    prompt_length = gate - ids.begin();
  }
  const auto last = static_cast<std::int64_t>(ids.size()) - 1;
  const auto num_cut = static_cast<std::int64_t>(num_tokens - ids.size());
  return {std::move(ids), std::clamp<std::int64_t>(prompt_length, 0, last), num_cut};
}

}  // namespace charm::engine
