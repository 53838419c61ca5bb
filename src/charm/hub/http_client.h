#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::hub {

/// Which redirects a request follows by itself.
enum class Redirects {
  kNone,      ///< a 3xx is the answer
  kSameHost,  ///< those that stay with scheme, host and port
  kAll,       ///< any, but never from https to http
};

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD or POST
  std::string url;
  std::vector<std::pair<std::string, std::string>>
      headers;       ///< besides those the client adds; no secrets here
  std::string body;  ///< of a POST
  /// Sent as `Authorization: Bearer ...` to the origin of `url` and to nobody a redirect names.
  std::string bearer_token;
  Redirects redirects = Redirects::kNone;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds timeout{600'000};  ///< from start to the last byte; 0: no limit
  std::chrono::seconds stall_timeout{0};   ///< no byte for this long ends the transfer; 0: no limit
  std::size_t max_body_bytes = 64u << 20;  ///< longer answers end as an error
  /// Where set, the body of a 2xx goes here piece by piece instead of into the response; false ends
  /// the transfer.
  std::function<bool(int status, std::string_view piece)> on_body;
};

struct HttpResponse {
  int status = 0;  ///< 0: no answer came
  std::string body;
  std::string url;       ///< that answered, after redirects
  std::string error;     ///< why there is no whole answer: "connection refused"; empty for every
                         ///< complete answer, also 4xx and 5xx
  bool refused = false;  ///< no connection was made: nothing reached the server
  bool timed_out = false;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case, in order

  /// The last one of that name (lower case); empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpClientOptions {
  std::size_t max_connections = 64;  ///< open at the same time; further requests wait
};

/// Many HTTP requests at once in one thread. Connections are kept open and used again. Loopback
/// addresses bypass a proxy. Callbacks run inside `run` and may start further requests. Not
/// thread-safe.
class HttpClient {
 public:
  using DoneFn = std::function<void(HttpResponse response)>;

  explicit HttpClient(const HttpClientOptions& options = {});
  ~HttpClient();  ///< drops what is in flight without calling back
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `done` is called exactly once unless the client is destroyed before.
  void start(HttpRequest request, DoneFn done);

  /// Calls `action` from `run` once `delay` is over.
  void after(std::chrono::milliseconds delay, std::function<void()> action);

  /// Works until no request and no delayed action is left. What a callback throws comes out of
  /// here.
  void run();

  /// Makes `run` return after the callback it is called from; what is in flight or delayed is
  /// dropped without calling back.
  void stop();

  /// One request alone.
  HttpResponse ask(HttpRequest request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace charm::hub
