#include "charm/batch/gates.h"

#include <algorithm>
#include <map>
#include <utility>

#include "charm/base/check.h"

namespace charm::batch {

GatedBatch add_gates(const PackedBatch& batch, std::span<const std::int32_t> gate_tokens) {
  GatedBatch result{batch, {}};
  PackedBatch& packed = result.packed;
  std::map<std::int64_t, std::int64_t> gate_of_prompt;  // where a prompt lies -> its gate
  for (const Segment& s : batch.responses) {
    const auto begin = batch.ids.begin() + s.response_begin;
    const auto end = begin + s.response_length;
    CHARM_CHECK(std::search(begin, end, gate_tokens.begin(), gate_tokens.end()) == begin,
                "a response does not begin with the gate's tokens");
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

}  // namespace charm::batch
