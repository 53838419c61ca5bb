#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "charm/generate/server_protocol.h"

namespace charm::generate {

/// One server and how it is doing.
struct Server {
  std::string base;  ///< of the API, ends in /v1 as a rule
  ServerKind kind = ServerKind::kOther;
  bool says_completion_tokens =
      false;  ///< it refuses max_tokens and asks for max_completion_tokens
  bool up = false;
  std::string trouble;  ///< why it is not up, or what went wrong last
  std::int64_t in_flight = 0;
  double window =
      1.0;           ///< requests it may have in flight: halved by a 429, back up with every answer
  int failures = 0;  ///< requests in a row without an answer
  int throttles = 0;                                   ///< 429 in a row
  int probes = 0;                                      ///< looks in a row that found it down
  std::chrono::steady_clock::time_point not_before{};  ///< it asked for a pause
};

/// Chooses among servers that are meant to be equal. Not thread-safe.
class ServerPool {
 public:
  ServerPool(std::vector<std::string> bases, std::int64_t concurrency);

  std::vector<Server>& servers() { return servers_; }
  const std::vector<Server>& servers() const { return servers_; }
  std::size_t num_up() const;

  /// The server with the least in flight that is up, not pausing and not full; rather not `avoid`.
  /// Empty where none is.
  std::optional<std::size_t> choose(std::optional<std::size_t> avoid,
                                    std::chrono::steady_clock::time_point now) const;

  /// Milliseconds until a pause ends; empty where no server that is up pauses.
  std::optional<std::chrono::milliseconds> next_pause_end(
      std::chrono::steady_clock::time_point now) const;

  void on_answer(std::size_t server);
  void on_throttle(std::size_t server, std::chrono::steady_clock::time_point until);
  /// Counts a request without an answer; true when that makes it down.
  bool on_failure(std::size_t server, bool refused, const std::string& why);

  /// "http://a:8000/v1: connection refused; http://b:8000/v1: HTTP 503".
  std::string troubles() const;

 private:
  std::vector<Server> servers_;
  double full_window_;
};

}  // namespace charm::generate
