#pragma once

#include <string_view>

namespace charm {

/// Levels of brackets that a JSON text of a user's file may have. Far more than any real file; code
/// that walks a parsed text calls itself once a level and would run out of stack in a hostile one.
inline constexpr int kMaxJsonDepth = 200;

/// Whether brackets outside of strings open more than `levels` deep. Looks at brackets and quotes
/// alone: the text need not be JSON.
bool nests_deeper_than(std::string_view json, int levels);

}  // namespace charm
