#include "charm/serve/http_server.h"

#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/version.h"

namespace charm::serve {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;

constexpr std::uint32_t kMaxHeaderBytes = 64 << 10;
/// When draining, how long a connection may still bring a request that was on its way.
constexpr std::chrono::milliseconds kDrainGrace{250};
constexpr std::chrono::milliseconds kAcceptBackOff{100};

std::string to_std(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

namespace {
class Connection;
}

/// All of it is used by the thread of `run` alone, except where atomic.
struct HttpServer::State {
  explicit State(const HttpServerOptions& given) : options(given) {}

  HttpServerOptions options;
  net::io_context io{1};
  tcp::acceptor acceptor{io};
  net::steady_timer accept_timer{io};
  net::signal_set signals{io};
  Handler handler{};
  Refusal refusal{};
  std::set<Connection*> connections{};
  std::atomic<std::int64_t> num_connections{0};
  std::atomic<std::uint16_t> port{0};
  bool is_draining = false;

  void accept();
  void drain(int signal);
};

namespace {

/// One client: reads a request, hands it to the handler, writes the reply, and starts again.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, HttpServer::State& server)
      : socket_(std::move(socket)), timer_(server.io), server_(server) {
    server_.connections.insert(this);
    ++server_.num_connections;
  }
  ~Connection() {
    server_.connections.erase(this);
    --server_.num_connections;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    error_code ignored;
    (void)socket_.set_option(tcp::no_delay(true), ignored);
    read_header();
  }

  /// The server ends: gives up waiting for a request soon.
  void drain() {
    if (is_reading_) set_time_limit(kDrainGrace);
  }

 private:
  void read_header() {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(static_cast<std::uint64_t>(server_.options.max_body_bytes));
    is_reading_ = true;
    set_time_limit(server_.is_draining ? kDrainGrace
                                       : std::chrono::seconds(server_.options.request_timeout_s));
    http::async_read_header(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
  }

  void on_header(error_code error) {
    if (error) return on_read_error(error);
    if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue"))
      return write_continue();
    read_body();
  }

  void write_continue() {
    auto reply = std::make_shared<http::response<http::empty_body>>(http::status::continue_, 11);
    http::async_write(socket_, *reply,
                      [self = shared_from_this(), reply](error_code error, std::size_t) {
                        if (error) return self->on_read_error(error);
                        self->read_body();
                      });
  }

  void read_body() {
    http::async_read(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_request(error); });
  }

  void on_request(error_code error) {
    if (error) return on_read_error(error);
    is_reading_ = false;
    timer_.cancel();
    http::request<http::string_body>& message = parser_->get();
    keep_alive_ = message.keep_alive();
    is_head_ = message.method() == http::verb::head;
    const std::string target = to_std(message.target());
    HttpRequest request{.method = is_head_ ? "GET" : to_std(message.method_string()),
                        .path = target.substr(0, target.find('?')),
                        .authorization = to_std(message[http::field::authorization]),
                        .body = std::move(message.body())};
    const std::string encoding = to_std(message[http::field::content_encoding]);
    if (!encoding.empty() && !boost::beast::iequals(encoding, "identity")) {
      return respond(server_.refusal(
          415, fmt::format("Content-Encoding '{}': expected an uncompressed body", encoding)));
    }
    abandoned_ = std::make_shared<std::atomic<bool>>(false);
    watch_client();
    // Until the reply the server has work, even if nothing happens on any connection.
    auto guard = std::make_shared<net::executor_work_guard<net::io_context::executor_type>>(
        net::make_work_guard(server_.io));
    server_.handler(
        std::move(request), abandoned_,
        // Gives up its references: only the server's thread destroys a connection.
        [self = shared_from_this(), guard](HttpReply reply) mutable {
          net::io_context& io = self->server_.io;
          net::post(io, [self = std::move(self), guard = std::move(guard),
                         reply = std::move(reply)]() mutable { self->respond(std::move(reply)); });
        });
  }

  void on_read_error(error_code error) {
    is_reading_ = false;
    timer_.cancel();
    keep_alive_ = false;
    const auto refuse = [this](int status, const std::string& message) {
      respond(server_.refusal(status, message));
    };
    if (timed_out_ && (parser_->got_some() || buffer_.size() > 0) && !server_.is_draining) {
      return refuse(408, fmt::format("the request did not arrive within {} s",
                                     server_.options.request_timeout_s));
    }
    if (timed_out_ || error == http::error::end_of_stream) return close();
    if (error == http::error::body_limit) {
      return refuse(413, fmt::format("the body is larger than {} bytes (--max-body-bytes)",
                                     server_.options.max_body_bytes));
    }
    if (error == http::error::header_limit)
      return refuse(431, fmt::format("the header is larger than {} bytes", kMaxHeaderBytes));
    if (error == http::error::partial_message) return close();
    if (error.category() == make_error_code(http::error::bad_method).category())
      return refuse(400, "not an HTTP request: " + error.message());
    close();  // the connection failed
  }

  /// Learns while the handler works whether the client closes its connection.
  void watch_client() {
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this(),
                                                flag = abandoned_](error_code error) {
      if (error || self->abandoned_ != flag) return;
      char byte = 0;
      const auto count = ::recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      // More bytes are the next request.
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) *flag = true;
    });
  }

  void respond(HttpReply reply) {
    if (abandoned_ && *abandoned_) return close();
    abandoned_.reset();
    error_code ignored;
    (void)socket_.cancel(ignored);  // watch_client
    reply_.emplace(static_cast<http::status>(reply.status), 11);
    reply_->set(http::field::server, std::string("charm/") + std::string(kVersion));
    reply_->set(http::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) reply_->set(name, value);
    reply_->keep_alive(keep_alive_ && !server_.is_draining);
    reply_->body() = std::move(reply.body);
    reply_->prepare_payload();
    if (is_head_) reply_->body().clear();  // Content-Length stays
    set_time_limit(std::chrono::seconds(server_.options.request_timeout_s));
    http::async_write(socket_, *reply_, [self = shared_from_this()](error_code error, std::size_t) {
      self->on_written(error);
    });
  }

  void on_written(error_code error) {
    timer_.cancel();
    const bool again = !error && reply_->keep_alive();
    reply_.reset();
    if (!again) return close();
    read_header();
  }

  /// Cancels what the connection waits for after this time.
  void set_time_limit(std::chrono::milliseconds limit) {
    timed_out_ = false;
    timer_.expires_after(limit);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (error || !self || self->timer_.expiry() > net::steady_timer::clock_type::now()) return;
      self->timed_out_ = true;
      error_code ignored;
      (void)self->socket_.cancel(ignored);
    });
  }

  /// Sends FIN and reads what the client may still be sending, so that it reads the reply instead
  /// of a reset.
  void close() {
    error_code ignored;
    (void)socket_.shutdown(tcp::socket::shutdown_send, ignored);
    set_time_limit(std::chrono::seconds(1));
    discard();
  }

  void discard() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(std::size_t{64} << 10),
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error && !self->timed_out_) self->discard();
                            });
  }

  tcp::socket socket_;
  net::steady_timer timer_;
  HttpServer::State& server_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> reply_;
  std::shared_ptr<std::atomic<bool>> abandoned_;
  bool keep_alive_ = true;
  bool is_head_ = false;
  bool is_reading_ = false;
  bool timed_out_ = false;
};

tcp::endpoint resolve(net::io_context& io, const HttpServerOptions& options) {
  error_code error;
  tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    throw Error(ErrorKind::kUsage, "--host {}: expected an address or name of this machine: {}",
                options.host, error.message());
  }
  return *found.begin();
}

}  // namespace

void HttpServer::State::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (is_draining || error == net::error::operation_aborted) return;
    if (!error) {
      std::make_shared<Connection>(std::move(socket), *this)->start();
      return accept();
    }
    // No descriptors left, or the client left again: others may be served first.
    log::debug("a connection was not accepted: {}", error.message());
    accept_timer.expires_after(kAcceptBackOff);
    accept_timer.async_wait([this](error_code cancelled) {
      if (!cancelled) accept();
    });
  });
}

void HttpServer::State::drain(int signal) {
  log::info("{}: answering the requests in flight", signal == SIGINT ? "SIGINT" : "SIGTERM");
  is_draining = true;
  error_code ignored;
  (void)signals.clear(ignored);  // a second signal has its usual effect
  (void)acceptor.close(ignored);
  accept_timer.cancel();
  for (Connection* connection : connections) connection->drain();
}

HttpServer::HttpServer(const HttpServerOptions& options)
    : state_(std::make_unique<State>(options)) {
  const tcp::endpoint endpoint = resolve(state_->io, options);
  error_code error;
  tcp::acceptor& acceptor = state_->acceptor;
  (void)acceptor.open(endpoint.protocol(), error);
  if (!error) (void)acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) (void)acceptor.bind(endpoint, error);
  // Listens at once: only then is a port that another server listens on an error.
  if (!error) (void)acceptor.listen(net::socket_base::max_listen_connections, error);
  if (error) {
    throw Error(ErrorKind::kNetwork, "cannot listen on {}:{}: {}; choose another --port",
                options.host, options.port, error.message());
  }
  state_->port = acceptor.local_endpoint().port();
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return state_->port; }

bool HttpServer::is_public() const {
  return !state_->acceptor.local_endpoint().address().is_loopback();
}

std::int64_t HttpServer::num_connections() const { return state_->num_connections; }

void HttpServer::run(Handler handler, Refusal refusal, const std::function<void()>& on_listening) {
  state_->handler = std::move(handler);
  state_->refusal = std::move(refusal);
  state_->signals.add(SIGINT);
  state_->signals.add(SIGTERM);
  state_->signals.async_wait([this](error_code error, int signal) {
    if (!error) state_->drain(signal);
  });
  state_->accept();
  on_listening();
  state_->io.run();
}

}  // namespace charm::serve
