#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "charm/generate/server_generator.h"
#include "charm/generate/server_protocol.h"
#include "charm/hub/http_client.h"

namespace charm::generate {

/// A server and its state.
struct Server {
  std::string base;  ///< base URL of the API, usually ends in /v1
  ServerKind kind = ServerKind::kOther;
  bool uses_max_completion_tokens = false;  ///< instead of max_tokens
  bool up = false;
  std::string last_error;
  std::int64_t in_flight = 0;
  double window =
      1.0;            ///< limit of requests in flight (AIMD): halved by a 429, raised by responses
  int failures = 0;   ///< consecutive requests without a response
  int throttles = 0;  ///< consecutive 429
  int probes = 0;     ///< consecutive failed probes
  std::chrono::steady_clock::time_point paused_until{};  ///< Retry-After
};

/// Load balancer over equivalent servers. Not thread-safe.
class ServerPool {
 public:
  ServerPool(std::vector<std::string> bases, std::int64_t concurrency);

  std::vector<Server>& servers() { return servers_; }
  const std::vector<Server>& servers() const { return servers_; }
  std::size_t num_up() const;

  /// The server with the fewest requests in flight that is up, not paused and below its limit;
  /// `avoid` only if there is no other. Empty if there is none.
  std::optional<std::size_t> choose(std::optional<std::size_t> avoid,
                                    std::chrono::steady_clock::time_point now) const;

  /// Time until the first pause ends; empty if no server that is up is paused.
  std::optional<std::chrono::milliseconds> time_to_resume(
      std::chrono::steady_clock::time_point now) const;

  void on_response(std::size_t server);
  void on_throttle(std::size_t server, std::chrono::steady_clock::time_point until);
  /// Counts a request without a response; true if the server is now considered down.
  bool on_failure(std::size_t server, bool connection_failed, const std::string& why);

  /// "http://a:8000/v1: connection refused; http://b:8000/v1: HTTP 503".
  std::string errors() const;

 private:
  std::vector<Server> servers_;
  double full_window_;
};

/// Result of a health check.
struct ProbeResult {
  bool up = false;
  ServerKind kind = ServerKind::kOther;
  std::string error{};  ///< request and failure
};

/// Health check: GET `base`/models, or /health if that is not supported or fails; calls `done` from
/// `client.run`. Throws (out of `run`) kUsage if the server has other models only, kNetwork if it
/// rejects the API key or is not an OpenAI-compatible API: these are permanent.
void probe_server(hub::HttpClient& client, const ServerOptions& options, const std::string& base,
                  std::function<void(const ProbeResult&)> done);

}  // namespace charm::generate
