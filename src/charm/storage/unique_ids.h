#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace charm::storage {

/// Keeps (policy, prompt_id, sample) unique within a data set. Not thread-safe.
class UniqueIds {
 public:
  /// With a sample number: `prompt_id` itself, or a kInput error (without location) when the key
  /// was seen. Without one: `prompt_id` the first time, then with "-2", "-3", ...
  std::string claim(const std::string& policy, const std::string& prompt_id,
                    std::optional<std::int32_t> sample);

 private:
  std::unordered_set<std::string> keys_;
  std::unordered_map<std::string, int> repeats_;
};

}  // namespace charm::storage
