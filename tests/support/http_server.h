#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace charm::testing {

struct ServerRequest {
  std::string method;
  std::string path;                            ///< with the query
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body{};
  int connection = 0;  ///< number of the TCP connection it came on

  bool has(const std::string& name) const { return headers.count(name) != 0; }
  std::string header(const std::string& name) const { return has(name) ? headers.at(name) : ""; }
};

/// A reply, possibly faulty.
struct ServerReply {
  int status = 200;
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::chrono::milliseconds delay{0};  ///< before the first byte
  /// Close the connection after this many bytes of the body (Content-Length is of all); -1: send
  /// everything; -2: close without a response.
  std::int64_t cut_after = -1;
};

/// A minimal HTTP/1.1 server on 127.0.0.1 with one thread per connection, for tests only:
/// keep-alive, HEAD, bodies with Content-Length. The handler is called concurrently.
class HttpServer {
 public:
  using Handler = std::function<ServerReply(const ServerRequest&)>;

  /// Port 0 selects a free one. Throws std::runtime_error when the port is taken.
  explicit HttpServer(Handler handler, int port = 0);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  /// Closes the port and all connections immediately, like a killed process.
  void stop();

  int num_requests() const { return num_requests_; }
  int num_connections() const { return num_connections_; }

 private:
  void accept_loop();
  void serve(int fd, int number);

  Handler handler_;
  int listen_fd_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> num_requests_{0};
  std::atomic<int> num_connections_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace charm::testing
