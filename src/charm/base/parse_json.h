#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "charm/base/error.h"

namespace charm {

/// Nesting depth allowed in JSON input. Far more than any real file; recursive code would overflow
/// the stack on a hostile one.
inline constexpr int kMaxJsonDepth = 200;

/// Whether brackets outside of strings nest deeper than `levels`. Only looks at brackets and
/// quotes: the text need not be valid JSON.
inline bool nests_deeper_than(std::string_view json, int levels) {
  int depth = 0;
  for (std::size_t i = 0; i < json.size(); ++i) {
    switch (json[i]) {
      case '"':
        for (++i; i < json.size() && json[i] != '"'; ++i) i += json[i] == '\\' ? 1 : 0;
        break;
      case '[':
      case '{':
        if (++depth > levels) return true;
        break;
      case ']':
      case '}':
        --depth;
        break;
      default:
        break;
    }
  }
  return false;
}

/// Parses untrusted JSON. Throws kInput: "<name>: not JSON: ...", also if it nests deeper than
/// kMaxJsonDepth.
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text, std::string_view name) {
  if (nests_deeper_than(text, kMaxJsonDepth)) {
    throw Error(ErrorKind::kInput, "{}: not usable JSON: brackets nest deeper than {} levels", name,
                kMaxJsonDepth);
  }
  try {
    return Json::parse(text);
  } catch (const typename Json::exception& error) {
    std::string_view message = error.what();  // "[json.exception.parse_error.101] parse error ..."
    if (const std::size_t head = message.find("] "); head != std::string_view::npos)
      message.remove_prefix(head + 2);
    throw Error(ErrorKind::kInput, "{}: not JSON: {}", name, message);
  }
}

}  // namespace charm
