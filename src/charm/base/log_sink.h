#pragma once

#include <functional>
#include <string_view>

#include "charm/base/log.h"

namespace charm::log {

/// Takes the lines of the log. Called from any thread, by one at a time.
using Sink = std::function<void(Level level, std::string_view message)>;

/// Sends the log to `sink` instead of standard error, for programs that call the library; empty:
/// back to standard error.
void set_sink(Sink sink);

}  // namespace charm::log
