#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>
#include <utility>

// Logging to stderr. Only the command line sets the level; libraries log and never print.
namespace charm::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

void set_level(Level level);
Level level();
void write(Level level, std::string_view message);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (level() <= Level::kDebug)
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (level() <= Level::kInfo)
    write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (level() <= Level::kWarning)
    write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

/// Takes the lines of the log. Called from any thread, by one at a time.
using Sink = std::function<void(Level level, std::string_view message)>;

/// Sends the log to `sink` instead of standard error, for programs that call the library; empty:
/// back to standard error.
void set_sink(Sink sink);

}  // namespace charm::log
