#include "charm/batch/pooled_row.h"

#include <algorithm>
#include <utility>

#include "charm/base/error.h"

namespace charm::batch {

PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length, std::int32_t pad_token_id) {
  if (pad_token_id >= 0) {
    while (!ids.empty() && ids.back() == pad_token_id) ids.pop_back();
  }
  if (ids.empty()) {
    throw Error(ErrorKind::kInput, "the conversation has no token to pool: expected at least one other than pad_token_id {}",
                pad_token_id);
  }
  const auto last = static_cast<std::int64_t>(ids.size()) - 1;
  return {std::move(ids), std::clamp<std::int64_t>(prompt_length, 0, last)};
}

}  // namespace charm::batch
