#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace charm::storage {

/// Keeps (policy, prompt_id, sample) unique within a dataset. Not thread-safe.
class UniqueIds {
 public:
  /// With a sample number: `prompt_id` itself, or a kInput error (without location) for a repeated
  /// key. Without one: `prompt_id` the first time, then with "-2", "-3", ...
  std::string claim(const std::string& policy, std::string prompt_id,
                    std::optional<std::int32_t> sample);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::size_t end = 0;  // of the key in keys_; 0: free
    std::size_t size = 0;
  };

  bool insert(std::uint32_t policy, std::string_view prompt_id, std::int32_t sample);
  void grow();

  std::map<std::string, std::uint32_t, std::less<>> policies_;
  std::string last_policy_;
  std::uint32_t last_policy_number_ = 0;
  std::string keys_;         // one after the other, without an allocation each
  std::vector<Slot> slots_;  // open addressing, at most half full
  std::size_t num_keys_ = 0;
  std::unordered_map<std::string, int> repeats_;
};

}  // namespace charm::storage
