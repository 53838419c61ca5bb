#include "charm/generate/server_pool.h"

#include <algorithm>

#include "charm/hub/url.h"

namespace charm::generate {
namespace {

/// Requests in a row without an answer that make a server count as down. One alone may be the
/// request's fault.
constexpr int kFailuresToLeave = 5;

}  // namespace

ServerPool::ServerPool(std::vector<std::string> bases, std::int64_t concurrency)
    : full_window_(static_cast<double>(concurrency)) {
  for (std::string& base : bases) {
    Server server;
    server.base = std::move(base);
    server.window = full_window_;
    servers_.push_back(std::move(server));
  }
}

std::size_t ServerPool::num_up() const {
  return static_cast<std::size_t>(std::count_if(servers_.begin(), servers_.end(),
                                                [](const Server& server) { return server.up; }));
}

std::optional<std::size_t> ServerPool::choose(std::optional<std::size_t> avoid,
                                              std::chrono::steady_clock::time_point now) const {
  std::optional<std::size_t> best;
  const auto load = [&](std::size_t s) {
    return servers_[s].in_flight + (avoid == s ? std::int64_t{1} << 40 : 0);
  };
  for (std::size_t s = 0; s < servers_.size(); ++s) {
    const Server& server = servers_[s];
    if (!server.up || server.not_before > now ||
        static_cast<double>(server.in_flight) >= std::max(server.window, 1.0))
      continue;
    if (!best || load(s) < load(*best)) best = s;
  }
  return best;
}

std::optional<std::chrono::milliseconds> ServerPool::next_pause_end(
    std::chrono::steady_clock::time_point now) const {
  std::optional<std::chrono::milliseconds> next;
  for (const Server& server : servers_) {
    if (!server.up || server.not_before <= now) continue;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(server.not_before - now) +
        std::chrono::milliseconds(1);
    if (!next || left < *next) next = left;
  }
  return next;
}

void ServerPool::on_answer(std::size_t s) {
  Server& server = servers_[s];
  server.failures = 0;
  server.throttles = 0;
  server.window = std::min(full_window_, server.window + 1.0 / std::max(server.window, 1.0));
}

void ServerPool::on_throttle(std::size_t s, std::chrono::steady_clock::time_point until) {
  Server& server = servers_[s];
  // Answers to requests of the same moment count once.
  if (server.not_before <= std::chrono::steady_clock::now()) {
    server.window = std::max(1.0, server.window / 2.0);
    ++server.throttles;
  }
  server.not_before = std::max(server.not_before, until);
}

bool ServerPool::on_failure(std::size_t s, bool refused, const std::string& why) {
  Server& server = servers_[s];
  ++server.failures;
  server.trouble = why;
  if (!server.up || (!refused && server.failures < kFailuresToLeave)) return false;
  server.up = false;
  server.probes = 0;
  return true;
}

std::string ServerPool::troubles() const {
  std::string text;
  for (const Server& server : servers_) {
    if (server.up) continue;
    text += (text.empty() ? "" : "; ") + hub::redacted_url(server.base) + ": " + server.trouble;
  }
  return text;
}

}  // namespace charm::generate
