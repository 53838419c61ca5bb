#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>

// SIGINT (Ctrl-C) and SIGTERM (a scheduler's preemption). By default they end the process at once;
// a long stage says what is kept and how to go on, and may make a checkpoint first.
namespace charm {

/// Thrown by a stage that has made its checkpoint after a signal; main ends the process by it.
struct Interrupted : std::exception {
  Interrupted(int signal_number, std::string text) : signal(signal_number), line(std::move(text)) {}
  const char* what() const noexcept override { return line.c_str(); }
  int signal;
  std::string line;
};

/// Ends this process by the signal, so that its parent sees which one it was.
[[noreturn]] void end_by_signal(int signal);

/// What a signal does while this object exists; the innermost one counts. One thread at a time.
class Interruptible {
 public:
  enum class When {
    kAtOnce,        ///< prints `line` and ends the process: all that is finished is on disk
    kAtCheckpoint,  ///< the first signal sets `requested`, the second one ends the process
  };
  /// Makes the signals look for such an object. Called once, by main.
  /// @param program  "charm score", the beginning of each line
  static void install_handlers(const std::string& program);

  /// @param line  what is kept and how to continue, without a line break
  Interruptible(When when, std::string line);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  /// Whether a signal has come: make the checkpoint and call `end`.
  bool requested() const;
  /// Throws `Interrupted` with `line`.
  [[noreturn]] void end() const;

 private:
  struct State;
  static void on_signal(int signal);
  std::unique_ptr<State> state_;
};

}  // namespace charm
