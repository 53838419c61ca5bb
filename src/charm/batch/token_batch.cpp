#include "charm/batch/token_batch.h"

#include <map>

#include "charm/base/check.h"

namespace charm::batch {
namespace {

void append(PackedBatch& batch, const std::vector<std::int32_t>& ids, std::int64_t first_position) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    batch.ids.push_back(ids[i]);
    batch.positions.push_back(
        static_cast<std::int32_t>(first_position + static_cast<std::int64_t>(i)));
  }
}

}  // namespace

std::int64_t TokenGroup::num_tokens() const {
  auto count = static_cast<std::int64_t>(prompt_ids.size());
  for (const auto& response : responses) count += static_cast<std::int64_t>(response.size());
  return count;
}

PackedBatch pack(const std::vector<TokenGroup>& groups) {
  PackedBatch batch;
  for (const TokenGroup& group : groups) {
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
                                 static_cast<std::int64_t>(response.size())});
      append(batch, response, prompt_length);
      batch.last.push_back(batch.num_tokens() - 1);
      batch.rows.push_back(group.rows[r]);
    }
  }
  return batch;
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
  std::map<std::int64_t, std::int64_t> shared;  // where a prompt lay -> where it lies
  for (const Segment& s : batch.responses) {
    Segment moved = s;
    if (s.prompt_length > 0) {
      const bool own = s.prompt_length + s.response_length > longest;
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

}  // namespace charm::batch
