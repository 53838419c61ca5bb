#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::hub {

/// Which redirects a request follows.
enum class Redirects {
  kNone,      ///< a 3xx is returned
  kSameHost,  ///< to the same scheme, host and port
  kAll,       ///< any; of an https request to https only
};

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD or POST
  std::string url;
  std::vector<std::pair<std::string, std::string>>
      headers;       ///< besides those the client adds; no secrets
  std::string body;  ///< of a POST
  /// Sent as `Authorization: Bearer ...` to the origin of `url` only, not to redirect targets.
  std::string bearer_token;
  Redirects redirects = Redirects::kNone;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds timeout{600'000};  ///< from start to the last byte; 0: no limit
  std::chrono::seconds stall_timeout{0};   ///< no byte for this long ends the transfer; 0: no limit
  std::size_t max_body_bytes = 64u << 20;  ///< longer responses are an error
  /// If set, receives the body of a 2xx in chunks instead of the response; false aborts the
  /// transfer.
  std::function<bool(int status, std::string_view chunk)> on_body;
};

struct HttpResponse {
  int status = 0;  ///< 0: no response
  std::string body;
  std::string url;    ///< after redirects
  std::string error;  ///< transport error, "connection refused"; empty for every complete
                      ///< response, also 4xx and 5xx
  bool connection_failed = false;  ///< could not connect or resolve the host
  bool timed_out = false;
  std::chrono::seconds retry_after{0};  ///< the Retry-After header; 0 if there is none
  std::vector<std::pair<std::string, std::string>>
      headers;  ///< of the last response, names in lower case, in order

  /// The last header of that name (lower case); empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpClientOptions {
  std::size_t max_connections = 64;  ///< concurrent connections; further requests are queued
  std::filesystem::path ca_file{};   ///< CA certificates (PEM); empty: those of the system
};

/// Asynchronous HTTP client: many concurrent requests in one thread, with keep-alive. Loopback
/// addresses bypass a proxy. Callbacks run inside `run` and may start further requests. Not
/// thread-safe.
class HttpClient {
 public:
  using DoneFn = std::function<void(HttpResponse response)>;

  explicit HttpClient(const HttpClientOptions& options = {});
  ~HttpClient();  ///< cancels requests in flight without callbacks
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `done` is called exactly once unless the client is destroyed first.
  void start(HttpRequest request, DoneFn done);

  /// Calls `action` from `run` after `delay`.
  void after(std::chrono::milliseconds delay, std::function<void()> action);

  /// Runs until no request and no delayed action is pending. Rethrows what a callback throws.
  void run();

  /// Makes `run` return after the current callback; cancels requests in flight and delayed actions
  /// without callbacks.
  void stop();

  /// Sends one request and waits for its response.
  HttpResponse send(HttpRequest request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace charm::hub
