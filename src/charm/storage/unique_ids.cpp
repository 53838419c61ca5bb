#include "charm/storage/unique_ids.h"

#include <fmt/format.h>

#include "charm/base/error.h"

namespace charm::storage {
namespace {

// NUL cannot end a name and begin an id at once, so distinct triples have distinct keys unless
// names hold NUL themselves.
std::string key_of(const std::string& policy, const std::string& prompt_id, std::int32_t sample) {
  std::string key;
  key.reserve(policy.size() + prompt_id.size() + 14);
  key.append(policy).append(1, '\0').append(prompt_id).append(1, '\0').append(
      std::to_string(sample));
  return key;
}

}  // namespace

std::string UniqueIds::claim(const std::string& policy, const std::string& prompt_id,
                             std::optional<std::int32_t> sample) {
  if (keys_.insert(key_of(policy, prompt_id, sample.value_or(0))).second) return prompt_id;
  if (sample) {
    throw Error(ErrorKind::kInput, "prompt_id '{}' with sample {} of policy '{}' occurs twice",
                prompt_id, *sample, policy);
  }
  int& repeat = repeats_.try_emplace(key_of(policy, prompt_id, 0), 1).first->second;
  while (true) {
    // An id such as "x-2" may have been given as well: the next free number then.
    std::string candidate = fmt::format("{}-{}", prompt_id, ++repeat);
    if (keys_.insert(key_of(policy, candidate, 0)).second) return candidate;
  }
}

}  // namespace charm::storage
