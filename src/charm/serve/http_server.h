#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace charm::serve {

struct HttpRequest {
  std::string method;  ///< "GET", "POST", ...
  std::string path;    ///< without the query
  std::string authorization;
  std::string body;
};

struct HttpReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers{};
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  ///< 0: a free one
  std::int64_t max_body_bytes = std::int64_t{16} << 20;
  std::int32_t request_timeout_s = 60;
};

/// An HTTP/1.1 server with one thread of its own for all connections: keep-alive, chunked bodies,
/// `Expect: 100-continue`. Requests that are too large, malformed or slower than the time limit are
/// answered (413, 400, 408) without the handler. `port` and `num_connections` are thread-safe.
class HttpServer {
 public:
  /// Sends the reply; called once, from any thread.
  using Respond = std::function<void(HttpReply)>;
  /// Called in the server's thread with one request at a time; must not block. `abandoned` becomes
  /// true when the client leaves before its reply.
  using Handler = std::function<void(
      HttpRequest request, std::shared_ptr<const std::atomic<bool>> abandoned, Respond respond)>;
  /// The reply to a request that is refused without the handler.
  using Refusal = std::function<HttpReply(int status, const std::string& message)>;

  /// Binds the port. Throws kNetwork if it is in use, kUsage for an unknown host.
  explicit HttpServer(const HttpServerOptions& options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  /// Whether clients of other machines reach it.
  bool is_public() const;
  std::int64_t num_connections() const;

  /// Serves until SIGTERM or SIGINT. Then accepts no more connections, waits until all requests
  /// are answered, and returns. A second signal ends the process.
  /// @param on_listening  called once connections are accepted
  void run(Handler handler, Refusal refusal, const std::function<void()>& on_listening);

  struct State;  ///< of the implementation

 private:
  std::unique_ptr<State> state_;
};

}  // namespace charm::serve
