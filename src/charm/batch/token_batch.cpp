#include "charm/batch/token_batch.h"

#include "charm/base/check.h"

namespace charm::batch {
namespace {

void append(PackedBatch& batch, const std::vector<std::int32_t>& ids, std::int64_t first_position) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    batch.ids.push_back(ids[i]);
    batch.positions.push_back(static_cast<std::int32_t>(first_position + static_cast<std::int64_t>(i)));
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
    CHARM_CHECK(group.responses.size() == group.rows.size(), "a group has {} responses and {} row numbers",
                group.responses.size(), group.rows.size());
    const std::int64_t prompt_begin = batch.num_tokens();
    const auto prompt_length = static_cast<std::int64_t>(group.prompt_ids.size());
    append(batch, group.prompt_ids, /*first_position=*/0);
    if (prompt_length > 0) batch.prompts.push_back({prompt_begin, 0, prompt_begin, prompt_length});
    for (std::size_t r = 0; r < group.responses.size(); ++r) {
      const auto& response = group.responses[r];
      CHARM_CHECK(!response.empty(), "response {} of a group has no tokens", r);
      batch.responses.push_back(
          {prompt_begin, prompt_length, batch.num_tokens(), static_cast<std::int64_t>(response.size())});
      append(batch, response, prompt_length);
      batch.last.push_back(batch.num_tokens() - 1);
      batch.rows.push_back(group.rows[r]);
    }
  }
  return batch;
}

}  // namespace charm::batch
