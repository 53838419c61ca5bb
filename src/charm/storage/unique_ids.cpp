#include "charm/storage/unique_ids.h"

#include <functional>

#include "charm/base/error.h"

namespace charm::storage {

std::string UniqueIds::claim(const std::string& policy, std::string prompt_id,
                             std::optional<std::int32_t> sample) {
  if (policies_.empty() || policy != last_policy_) {
    last_policy_ = policy;
    last_policy_number_ =
        policies_.emplace(policy, static_cast<std::uint32_t>(policies_.size())).first->second;
  }
  const std::uint32_t number = last_policy_number_;
  if (insert(number, prompt_id, sample.value_or(0))) return prompt_id;
  if (sample) {
    throw Error(ErrorKind::kInput, "prompt_id '{}' with sample {} of policy '{}' occurs twice",
                prompt_id, *sample, policy);
  }
  int& repeat = repeats_.try_emplace(fmt::format("{} {}", number, prompt_id), 1).first->second;
  while (true) {
    // An id such as "x-2" may be taken: then the next number.
    std::string candidate = fmt::format("{}-{}", prompt_id, ++repeat);
    if (insert(number, candidate, 0)) return candidate;
  }
}

bool UniqueIds::insert(std::uint32_t policy, std::string_view prompt_id, std::int32_t sample) {
  if (2 * (num_keys_ + 1) > slots_.size()) grow();
  const std::size_t begin = keys_.size();
  const auto append = [&](const auto& number) {
    keys_.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  append(policy);
  append(sample);
  keys_.append(prompt_id);
  const std::string_view key = std::string_view(keys_).substr(begin);
  const std::uint64_t hash = std::hash<std::string_view>()(key);
  for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[at];
    if (slot.end == 0) {
      slot = {hash, keys_.size(), key.size()};
      ++num_keys_;
      return true;
    }
    if (slot.hash == hash && slot.size == key.size() &&
        std::string_view(keys_).substr(slot.end - slot.size, slot.size) == key) {
      keys_.resize(begin);
      return false;
    }
  }
}

void UniqueIds::grow() {
  std::vector<Slot> old(slots_.empty() ? 1024 : 2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.end == 0) continue;
    std::size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].end != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

}  // namespace charm::storage
