#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/dist/launch.h"

namespace charm::dist {

/// The processes of one command. With one process every call is a no-op and nothing listens
/// anywhere. One thread per object.
///
/// The order of calls: all ranks call `broadcast` the same number of times; ranks above 0 `post`
/// and then `end`; rank 0 `collect`s in between and then `end`s too. A rank that fails says so with
/// `fail`; rank 0 then throws that rank's message, and ranks above 0 stop when rank 0 has gone.
class World {
 public:
  /// Joins the others; rank 0 waits for all. Throws kResource when rank 0 cannot listen, or
  /// somebody is missing after `patience_seconds`.
  static World join(const Launch& launch, double patience_seconds = 120.0);
  /// One process by itself.
  static World alone() { return join(Launch{}); }
  ~World();
  World(World&&) noexcept;

  int rank() const { return launch_.rank; }
  int size() const { return launch_.size; }
  bool is_root() const { return launch_.rank == 0; }

  /// Rank 0's value, on all ranks.
  std::string broadcast(const std::string& value);

  /// Ranks above 0: hands a message to rank 0. Messages of a rank arrive in order. Throws kResource
  /// when rank 0 has gone.
  void post(const std::string& message);

  /// Rank 0: messages that have arrived since the last call; does not wait. Throws another rank's
  /// failure, and kResource for a rank whose process on this machine has gone without a word
  /// (looked at five times a second), or that has been silent for half a minute (each gives a sign
  /// of life every second).
  std::vector<std::string> collect();

  /// Ranks above 0: says that nothing more will come. Rank 0: waits for that from all, handing over
  /// what arrives.
  void end(const std::function<void(const std::string&)>& on_message = {});

  /// Tells the others why this rank stops. Never throws.
  void fail(const Error& error) noexcept;

 private:
  explicit World(Launch launch);

  Launch launch_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace charm::dist
