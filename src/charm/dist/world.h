#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/dist/launch.h"

namespace charm::dist {

/// The process group of one command. With one process every call is a no-op and no port is opened.
/// Use from one thread.
///
/// Protocol: all ranks call `broadcast` the same number of times; ranks above 0 `post` and then
/// `end`; rank 0 `collect`s in between and then `end`s too. A failing rank calls `fail`; rank 0
/// then throws that rank's message, and ranks above 0 stop when rank 0 has ended.
class World {
 public:
  /// Rendezvous; rank 0 waits for all ranks. Throws kResource when rank 0 cannot listen, or a rank
  /// is missing after `timeout_seconds`.
  static World join(const Launch& launch, double timeout_seconds = 120.0);
  /// A group of one process.
  static World alone() { return join(Launch{}); }
  ~World();
  World(World&&) noexcept;

  int rank() const { return launch_.rank; }
  int size() const { return launch_.size; }
  bool is_root() const { return launch_.rank == 0; }

  /// Returns rank 0's value on all ranks.
  std::string broadcast(const std::string& value);

  /// Ranks above 0: sends a message to rank 0. Messages of a rank arrive in order. Throws kResource
  /// when rank 0 has ended.
  void post(const std::string& message);

  /// Rank 0: messages received since the last call; non-blocking. Throws another rank's failure,
  /// and kResource for a rank whose local process has terminated (polled five times a second) or
  /// whose heartbeat (one per second) has been missing for half a minute.
  std::vector<std::string> collect();

  /// Ranks above 0: signals the end of messages. Rank 0: waits for that of all ranks, passing
  /// messages to `on_message`.
  void end(const std::function<void(const std::string&)>& on_message = {});

  /// Reports why this rank stops. Never throws.
  void fail(const Error& error) noexcept;

 private:
  explicit World(Launch launch);

  Launch launch_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace charm::dist
