#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/json_text.h"

namespace charm {

/// A user's JSON text as a `Json` of nlohmann's. Throws kInput: "<name>: not JSON: ...", also where
/// it nests deeper than kMaxJsonDepth.
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text, std::string_view name) {
  if (nests_deeper_than(text, kMaxJsonDepth)) {
    throw Error(ErrorKind::kInput,
                "{}: not JSON that can be used: brackets nest deeper than {} levels", name,
                kMaxJsonDepth);
  }
  try {
    return Json::parse(text);
  } catch (const typename Json::exception& error) {
    throw Error(ErrorKind::kInput, "{}: not JSON: {}", name, error.what());
  }
}

}  // namespace charm
