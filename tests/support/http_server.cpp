#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace charm::testing {
namespace {

/// Reads requests from a connection; bytes after a request are kept for the next.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}

  std::optional<ServerRequest> read_request() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return std::nullopt;
    }
    ServerRequest request;
    const std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    std::size_t at = head.find("\r\n");
    const std::string line = head.substr(0, at);
    const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
    request.method = line.substr(0, first);
    request.path = line.substr(first + 1, second - first - 1);
    for (at += 2; at < head.size();) {
      const std::size_t stop = head.find("\r\n", at);
      const std::string header = head.substr(at, stop - at);
      const std::size_t colon = header.find(':');
      std::string name = header.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      std::size_t value = colon + 1;
      while (value < header.size() && header[value] == ' ') ++value;
      request.headers[name] = header.substr(value);
      at = stop + 2;
    }
    const std::size_t length =
        request.has("content-length") ? std::stoul(request.header("content-length")) : 0;
    while (buffer_.size() < length) {
      if (!read_more()) return std::nullopt;
    }
    request.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return request;
  }

  bool write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

 private:
  bool read_more() {
    char buffer[16384];
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    buffer_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  int fd_;
  std::string buffer_;
};

}  // namespace

HttpServer::HttpServer(Handler handler, int port) : handler_(std::move(handler)) {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listen_fd_, 1024) != 0 ||
      getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(listen_fd_);
    throw std::runtime_error("the test server cannot bind a port");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::stop() {
  if (!stopping_.exchange(true)) {
    shutdown(listen_fd_, SHUT_RDWR);
    acceptor_.join();
    close(listen_fd_);
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }
}

void HttpServer::accept_loop() {
  while (!stopping_) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
      if (stopping_) return;
      continue;
    }
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd, number = ++num_connections_] { serve(fd, number); });
  }
}

void HttpServer::serve(int fd, int number) {
  Connection connection(fd);
  while (!stopping_) {
    std::optional<ServerRequest> request = connection.read_request();
    if (!request) break;
    request->connection = number;
    ++num_requests_;
    const ServerReply reply = handler_(*request);
    for (auto left = reply.delay; left.count() > 0 && !stopping_;) {
      const auto nap = std::min(left, std::chrono::milliseconds(5));
      std::this_thread::sleep_for(nap);
      left -= nap;
    }
    if (reply.cut_after == -2) break;
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " x\r\n";
    bool own_length = false;
    for (const auto& [name, value] : reply.headers) {
      head += name + ": " + value + "\r\n";
      own_length = own_length || name == "Content-Length";
    }
    if (!own_length) head += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
    head += "\r\n";
    std::string_view body =
        request->method == "HEAD" ? std::string_view() : std::string_view(reply.body);
    const bool cut =
        reply.cut_after >= 0 && static_cast<std::size_t>(reply.cut_after) < body.size();
    if (cut) body = body.substr(0, static_cast<std::size_t>(reply.cut_after));
    if (!connection.write_all(head) || !connection.write_all(body) || cut) break;
  }
  const std::lock_guard lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace charm::testing
