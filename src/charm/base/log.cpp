#include "charm/base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

namespace charm::log {
namespace {

// The one process-wide setting of the program: what is worth a line.
std::atomic<Level> current_level = Level::kInfo;

/// Where the lines go in a program that calls the library.
struct SinkHolder {
  std::mutex mutex;
  Sink sink;
};

SinkHolder& sink_holder() {
  static SinkHolder holder;
  return holder;
}

struct Label {
  std::string_view name;
  std::string_view colour;
};

Label label_of(Level level) {
  switch (level) {
    case Level::kDebug:
      return {"debug", "\x1b[36m"};
    case Level::kInfo:
      return {"info", "\x1b[32m"};
    case Level::kWarning:
      return {"warning", "\x1b[33m\x1b[1m"};
    case Level::kError:
    case Level::kOff:
      break;
  }
  return {"error", "\x1b[31m\x1b[1m"};
}

bool stderr_has_colours() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && terminal != nullptr &&
         std::string_view(terminal) != "dumb" && std::getenv("NO_COLOR") == nullptr;
}

}  // namespace

void set_level(Level level) { current_level = level; }

Level level() { return current_level; }

void set_sink(Sink sink) {
  const std::lock_guard lock(sink_holder().mutex);
  sink_holder().sink = std::move(sink);
}

void write(Level level, std::string_view message) {
  static const bool kColours = stderr_has_colours();
  if (level < current_level || level == Level::kOff) return;
  {
    const std::lock_guard lock(sink_holder().mutex);
    if (sink_holder().sink) return sink_holder().sink(level, message);
  }
  const Label label = label_of(level);
  const std::string line = kColours
                               ? fmt::format("{}{}\x1b[m: {}\n", label.colour, label.name, message)
                               : fmt::format("{}: {}\n", label.name, message);
  // One call holds the stream's lock: lines of several threads do not mix.
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace charm::log
