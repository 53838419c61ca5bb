#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace charm::test {

/// The part of a message that is said twice in a row, "evaluate: error: evaluate: ..." or
/// "--mode: mode: ..."; empty if there is none. Dashes before an option do not count, nor does the
/// word error.
inline std::string repeated_prefix(std::string_view message) {
  std::vector<std::string> parts;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find(": "), message.size());
    std::string_view part = message.substr(0, end);
    message.remove_prefix(std::min(end + 2, message.size()));
    part.remove_prefix(std::min(part.find_first_not_of('-'), part.size()));
    if (part.starts_with("charm ")) part.remove_prefix(6);
    if (part == "error") continue;
    if (!parts.empty() && parts.back() == part) return std::string(part);
    parts.emplace_back(part);
  }
  return "";
}

}  // namespace charm::test
