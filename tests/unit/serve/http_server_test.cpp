#include "charm/serve/http_server.h"

#include <gtest/gtest.h>

#include <csignal>
#include <deque>
#include <mutex>
#include <thread>

#include "charm/base/error.h"
#include "charm/hub/http_client.h"
#include "tests/support/expect_error.h"

namespace charm::serve {
namespace {

/// A server in a thread of its own; replies come from another one, as those of a queue do.
class ServeHttp : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<HttpServer>(HttpServerOptions{.port = 0, .max_body_bytes = 2000});
    thread_ = std::thread([this] {
      server_->run(
          [this](HttpRequest request, std::shared_ptr<const std::atomic<bool>> abandoned,
                 HttpServer::Respond respond) {
            const std::lock_guard lock(mutex_);
            waiting_.push_back({std::move(request), std::move(abandoned), std::move(respond)});
          },
          [](int status, const std::string& message) {
            return HttpReply{.status = status, .body = message};
          },
          [this] { listening_ = true; });
      ended_ = true;
    });
    while (!listening_) std::this_thread::yield();
    worker_ = std::thread([this] { reply_to_all(); });
  }
  void TearDown() override {
    if (!ended_) raise(SIGTERM);
    thread_.join();
    worker_.join();
  }

  void reply_to_all() {
    while (!ended_) {
      std::unique_lock lock(mutex_);
      if (waiting_.empty()) {
        lock.unlock();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      next.respond(
          {.status = 200,
           .body = next.request.method + " " + next.request.path + " " + next.request.body});
    }
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
  }

  struct Waiting {
    HttpRequest request;
    std::shared_ptr<const std::atomic<bool>> abandoned;
    HttpServer::Respond respond;
  };
  std::unique_ptr<HttpServer> server_;
  std::atomic<bool> listening_{false}, ended_{false};
  std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::thread thread_, worker_;
};

TEST_F(ServeHttp, EveryConnectionGetsItsOwnReplies) {
  hub::HttpClient client({.max_connections = 16});
  int num_right = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string body = "body " + std::to_string(i);
    client.start({.method = "POST", .url = url("/x?q=1"), .body = body},
                 [&, body](const hub::HttpResponse& response) {
                   num_right += response.body == "POST /x " + body ? 1 : 0;
                 });
  }
  client.run();
  EXPECT_EQ(num_right, 200);
}

TEST_F(ServeHttp, LargeBodiesAreRefused) {
  hub::HttpClient client;
  const std::string body(5000, 'x');
  EXPECT_EQ(client.send({.method = "POST", .url = url("/"), .body = body}).status, 413);
  EXPECT_EQ(client.send({.url = url("/after")}).body, "GET /after ");
}

TEST_F(ServeHttp, APortIsTakenOnce) {
  EXPECT_ERROR(kNetwork, "choose another --port", HttpServer({.port = server_->port()}));
  EXPECT_FALSE(server_->is_public());
  EXPECT_TRUE(HttpServer({.host = "0.0.0.0", .port = 0}).is_public());
}

}  // namespace
}  // namespace charm::serve
