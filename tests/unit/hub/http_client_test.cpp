#include "charm/hub/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/http_server.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::hub {
namespace {

using charm::testing::HttpServer;
using charm::testing::ServerReply;
using charm::testing::ServerRequest;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(HttpClient, SendsAndReceives) {
  HttpServer server([](const ServerRequest& request) {
    return ServerReply{.status = 201,
                       .body = request.method + " " + request.path + " " + request.body + " " +
                               request.header("x-own"),
                       .headers = {{"X-Answer", " 1 "}, {"x-answer", "2"}}};
  });
  HttpClient client;
  const HttpResponse response = client.send({.method = "POST",
                                             .url = server.url("/a?b=c"),
                                             .headers = {{"X-Own", "yes"}},
                                             .body = std::string("x\0y", 3)});
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, std::string("POST /a?b=c x\0y yes", 19));
  EXPECT_EQ(response.header("x-answer"), "2");
  EXPECT_EQ(response.header("absent"), "");
  EXPECT_EQ(response.error, "");
}

TEST(HttpClient, ReusesAndLimitsConnections) {
  std::atomic<int> now{0}, most{0};
  HttpServer server([&](const ServerRequest& request) {
    const int running = ++now;
    int seen = most;
    while (running > seen && !most.compare_exchange_weak(seen, running)) {
    }
    std::this_thread::sleep_for(milliseconds(2));
    --now;
    return ServerReply{.body = request.body};
  });
  HttpClient client({.max_connections = 8});
  std::multiset<std::string> answers;
  for (int i = 0; i < 200; ++i) {
    client.start({.method = "POST", .url = server.url("/"), .body = std::to_string(i)},
                 [&](HttpResponse response) { answers.insert(response.body); });
  }
  client.run();
  EXPECT_EQ(answers.size(), 200u);
  EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), 200u);
  EXPECT_LE(most, 8);
  EXPECT_GT(most, 1);
  EXPECT_LE(server.num_connections(), 8);
}

TEST(HttpClient, CallbacksStartMore) {
  HttpServer server([](const ServerRequest& request) { return ServerReply{.body = request.path}; });
  HttpClient client({.max_connections = 2});
  std::vector<std::string> seen;
  std::function<void(int)> go = [&](int n) {
    client.start({.url = server.url("/" + std::to_string(n))}, [&, n](HttpResponse response) {
      seen.push_back(response.body);
      if (n < 3) client.after(milliseconds(1), [&go, n] { go(n + 1); });
    });
  };
  go(1);
  client.run();
  EXPECT_THAT(seen, ::testing::ElementsAre("/1", "/2", "/3"));
}

TEST(HttpClient, ExceptionsOfCallbacksArePropagated) {
  HttpServer server([](const ServerRequest&) { return ServerReply{}; });
  HttpClient client;
  client.start({.url = server.url("/")}, [](HttpResponse) { throw Error(ErrorKind::kIo, "full"); });
  EXPECT_EQ(charm::testing::error_of([&] { client.run(); }).message(), "full");
}

TEST(HttpClient, TransportErrorsAreResponses) {
  HttpServer server([](const ServerRequest& request) {
    if (request.path == "/slow") return ServerReply{.delay = milliseconds(3000)};
    if (request.path == "/cut") return ServerReply{.body = std::string(100, 'x'), .cut_after = 10};
    if (request.path == "/dropped") return ServerReply{.cut_after = -2};
    return ServerReply{.body = std::string(2000, 'x')};
  });
  HttpClient client;
  const HttpResponse slow = client.send({.url = server.url("/slow"), .timeout = milliseconds(50)});
  EXPECT_TRUE(slow.timed_out);
  EXPECT_FALSE(slow.error.empty());
  const HttpResponse cut = client.send({.url = server.url("/cut")});
  EXPECT_EQ(cut.status, 200);
  EXPECT_FALSE(cut.error.empty());
  EXPECT_FALSE(client.send({.url = server.url("/dropped")}).error.empty());
  EXPECT_THAT(client.send({.url = server.url("/"), .max_body_bytes = 100}).error,
              HasSubstr("longer than 100 bytes"));
  const int port = server.port();
  server.stop();
  const HttpResponse refused =
      client.send({.url = "http://127.0.0.1:" + std::to_string(port) + "/"});
  EXPECT_TRUE(refused.connection_failed);
  EXPECT_EQ(refused.status, 0);
}

TEST(HttpClient, TheTokenIsSentToItsOriginOnly) {
  std::string seen_elsewhere = "no request", seen_at_home, seen_back = "no request";
  std::string home;
  HttpServer elsewhere([&](const ServerRequest& request) {
    seen_elsewhere = request.header("authorization");
    if (request.path == "/back")
      return ServerReply{.status = 302, .headers = {{"Location", home + "/returned"}}};
    return ServerReply{.body = "file"};
  });
  HttpServer server([&](const ServerRequest& request) {
    if (request.path == "/returned") {
      seen_back = request.header("authorization");
      return ServerReply{.body = "file"};
    }
    if (request.path == "/moved")
      return ServerReply{.status = 307, .headers = {{"Location", "/here"}}};
    if (request.path == "/here") {
      seen_at_home = request.header("authorization");
      return ServerReply{.body = "here"};
    }
    return ServerReply{.status = 302, .headers = {{"Location", elsewhere.url(request.path)}}};
  });
  home = server.url();
  HttpClient client;
  EXPECT_EQ(
      client
          .send(
              {.url = server.url("/moved"), .bearer_token = "secret", .redirects = Redirects::kAll})
          .body,
      "here");
  EXPECT_EQ(seen_at_home, "Bearer secret");
  EXPECT_EQ(
      client
          .send(
              {.url = server.url("/file"), .bearer_token = "secret", .redirects = Redirects::kAll})
          .body,
      "file");
  EXPECT_EQ(seen_elsewhere, "");
  EXPECT_EQ(
      client
          .send(
              {.url = server.url("/back"), .bearer_token = "secret", .redirects = Redirects::kAll})
          .body,
      "file");
  EXPECT_EQ(seen_back, "");
  EXPECT_EQ(client.send({.url = server.url("/file"), .redirects = Redirects::kSameHost}).status,
            302);
  EXPECT_EQ(client.send({.url = server.url("/moved"), .redirects = Redirects::kNone}).status, 307);
}

TEST(HttpClient, RedirectsAreLimited) {
  HttpServer server([](const ServerRequest&) {
    return ServerReply{.status = 302, .headers = {{"Location", "/again"}}};
  });
  HttpClient client;
  const Error error = charm::testing::error_of(
      [&] { client.send({.url = server.url("/"), .redirects = Redirects::kAll}); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  HttpServer odd([](const ServerRequest&) {
    return ServerReply{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
  });
  EXPECT_EQ(charm::testing::error_of([&] {
              client.send({.url = odd.url("/"), .redirects = Redirects::kAll});
            }).kind(),
            ErrorKind::kNetwork);
}

TEST(HttpClient, StreamsBodies) {
  const std::string big(300000, 'z');
  HttpServer server([&](const ServerRequest& request) {
    if (request.path == "/missing") return ServerReply{.status = 404, .body = "nothing"};
    return ServerReply{.body = big};
  });
  HttpClient client;
  std::string got;
  const auto take = [&](int, std::string_view chunk) {
    got += chunk;
    return true;
  };
  EXPECT_EQ(client.send({.url = server.url("/"), .on_body = take}).body, "");
  EXPECT_EQ(got, big);
  EXPECT_EQ(client.send({.url = server.url("/missing"), .on_body = take}).body, "nothing");
  EXPECT_EQ(got, big);
  const auto full = [](int, std::string_view) -> bool { throw Error(ErrorKind::kIo, "disk full"); };
  EXPECT_EQ(charm::testing::error_of([&] {
              client.send({.url = server.url("/"), .on_body = full});
            }).kind(),
            ErrorKind::kIo);
  EXPECT_EQ(client.send({.method = "HEAD", .url = server.url("/")}).header("content-length"),
            "300000");
}

}  // namespace
}  // namespace charm::hub
