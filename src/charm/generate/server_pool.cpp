#include "charm/generate/server_pool.h"

#include <algorithm>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/strings.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"

namespace charm::generate {
namespace {

/// Consecutive requests without a response after which a server is considered down. A single one
/// may be caused by the request.
constexpr int kFailuresUntilDown = 5;

hub::HttpRequest probe_request(const ServerOptions& options, const std::string& url) {
  hub::HttpRequest request;
  request.url = url;
  request.bearer_token = options.api_key;
  request.redirects = hub::Redirects::kSameHost;
  request.connect_timeout = std::chrono::milliseconds(5000);
  request.timeout = std::chrono::milliseconds(15000);
  return request;
}

bool is_html(const std::string& body) {
  const std::size_t start = body.find_first_not_of(" \t\r\n");
  return start != std::string::npos && body[start] == '<';
}

/// Throws kUsage unless one of the names is the requested model.
void require_model(const ServerOptions& options, const std::string& url, const ModelList& list) {
  const auto same = [&](const std::string& name) { return is_same_model(options, name); };
  if (list.names.empty() || std::any_of(list.names.begin(), list.names.end(), same)) return;
  std::string names;
  for (const std::string& name : nearest_names(options.model, list.names, 5))
    names += (names.empty() ? "'" : ", '") + name + "'";
  throw Error(ErrorKind::kUsage,
              "{}: serves {}{}, not '{}'; set --server-model to the name on the server, or use "
              "--accept-model",
              url, names, list.names.size() > 5 ? ", ..." : "", options.model);
}

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
    if (!server.up || server.paused_until > now ||
        static_cast<double>(server.in_flight) >= std::max(server.window, 1.0))
      continue;
    if (!best || load(s) < load(*best)) best = s;
  }
  return best;
}

std::optional<std::chrono::milliseconds> ServerPool::time_to_resume(
    std::chrono::steady_clock::time_point now) const {
  std::optional<std::chrono::milliseconds> next;
  for (const Server& server : servers_) {
    if (!server.up || server.paused_until <= now) continue;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(server.paused_until - now) +
        std::chrono::milliseconds(1);
    if (!next || left < *next) next = left;
  }
  return next;
}

void ServerPool::on_response(std::size_t s) {
  Server& server = servers_[s];
  server.failures = 0;
  server.throttles = 0;
  server.window = std::min(full_window_, server.window + 1.0 / std::max(server.window, 1.0));
}

void ServerPool::on_throttle(std::size_t s, std::chrono::steady_clock::time_point until) {
  Server& server = servers_[s];
  // Concurrent 429s count once.
  if (server.paused_until <= std::chrono::steady_clock::now()) {
    server.window = std::max(1.0, server.window / 2.0);
    ++server.throttles;
  }
  server.paused_until = std::max(server.paused_until, until);
}

bool ServerPool::on_failure(std::size_t s, bool connection_failed, const std::string& why) {
  Server& server = servers_[s];
  ++server.failures;
  server.last_error = why;
  if (!server.up || (!connection_failed && server.failures < kFailuresUntilDown)) return false;
  server.up = false;
  server.probes = 0;
  return true;
}

std::string ServerPool::errors() const {
  std::string text;
  for (const Server& server : servers_) {
    if (server.up) continue;
    text += (text.empty() ? "" : "; ") + hub::redacted_url(server.base) + ": " + server.last_error;
  }
  return text;
}

void probe_server(hub::HttpClient& client, const ServerOptions& options, const std::string& base,
                  std::function<void(const ProbeResult&)> done) {
  const std::string url = base + "/models";
  client.start(probe_request(options, url), [&client, &options, base, url, done = std::move(done)](
                                                const hub::HttpResponse& response) {
    const std::string shown = hub::redacted_url(url);
    const std::string tried = fmt::format("GET {}: {}", shown, hub::describe(response));
    // 500 and 501 come from the server itself, which may be healthy; higher ones from a gateway.
    const bool has_no_list = response.status == 500 || response.status == 501;
    if (!response.error.empty() || (response.status >= 500 && !has_no_list) ||
        response.status == 429)
      return done({.up = false, .error = tried});
    if (response.status == 401 || response.status == 403) {
      throw Error(ErrorKind::kNetwork, "{}; {}", tried,
                  options.api_key_env.empty()
                      ? "no API key was given: name the variable that holds it with --api-key-env"
                      : fmt::format("the server rejects the key in {}", options.api_key_env));
    }
    if (response.status >= 200 && response.status < 300) {
      if (is_html(response.body)) {
        throw Error(
            ErrorKind::kNetwork,
            "{}: the response is an HTML page; expected the model list of an OpenAI-compatible API",
            shown);
      }
      const ModelList list = parse_model_list(response.body);
      require_model(options, shown, list);
      return done({.up = true, .kind = list.kind});
    }
    // Some servers and gateways only have a health endpoint, or neither.
    const std::string health = server_root(base) + "/health";
    client.start(probe_request(options, health), [tried, health, has_no_list,
                                                  done](const hub::HttpResponse& second) {
      const bool is_healthy = second.status >= 200 && second.status < 300;
      if (second.error.empty() && (is_healthy || (second.status < 500 && !has_no_list))) {
        if (has_no_list) log::warning("{}; the server is healthy, its model is not checked", tried);
        return done({.up = true});
      }
      done({.up = false,
            .error = fmt::format("{}; GET {}: {}", tried, hub::redacted_url(health),
                                 hub::describe(second))});
    });
  });
}

}  // namespace charm::generate
