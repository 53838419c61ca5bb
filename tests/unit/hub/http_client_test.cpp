#include "charm/hub/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <set>

#include "tests/support/expect_error.h"
#include "tests/support/http_server.h"
#include "tests/support/tls_server.h"
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
  // The same machine under another name is another host.
  seen_at_home = "no request";
  std::string other_name = server.url("/here");
  other_name.replace(other_name.find("127.0.0.1"), 9, "localhost");
  HttpServer first([&](const ServerRequest&) {
    return ServerReply{.status = 302, .headers = {{"Location", other_name}}};
  });
  const HttpResponse here =
      client.send({.url = first.url("/"), .bearer_token = "secret", .redirects = Redirects::kAll});
  EXPECT_EQ(here.body, "here");
  EXPECT_EQ(here.url, other_name);
  EXPECT_EQ(seen_at_home, "");
  EXPECT_EQ(
      client
          .send(
              {.url = server.url("/back"), .bearer_token = "secret", .redirects = Redirects::kAll})
          .body,
      "file");
  EXPECT_EQ(seen_back, "Bearer secret") << "the first origin again";
  EXPECT_EQ(client.send({.url = server.url("/file"), .redirects = Redirects::kSameHost}).status,
            302);
  EXPECT_EQ(client.send({.url = server.url("/moved"), .redirects = Redirects::kNone}).status, 307);
}

TEST(HttpClient, RedirectsAreLimited) {
  HttpServer server([](const ServerRequest&) {
    return ServerReply{.status = 302, .headers = {{"Location", "/again"}}};
  });
  HttpClient client;
  for (const Redirects redirects : {Redirects::kAll, Redirects::kSameHost}) {
    const int before = server.num_requests();
    EXPECT_ERROR(kNetwork, "more than 10 redirects",
                 client.send({.url = server.url("/"), .redirects = redirects}));
    EXPECT_EQ(server.num_requests() - before, 11);
  }
  for (const char* location : {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://[x"}) {
    HttpServer odd([&](const ServerRequest&) {
      return ServerReply{.status = 302, .headers = {{"Location", location}}};
    });
    EXPECT_ERROR(kNetwork, "expected an http or https URL",
                 client.send({.url = odd.url("/"), .redirects = Redirects::kAll}))
        << location;
    EXPECT_EQ(client.send({.url = odd.url("/"), .redirects = Redirects::kSameHost}).status, 302)
        << location;
  }
}

TEST(HttpClient, HeadersAreThoseOfTheLastResponse) {
  HttpServer store([](const ServerRequest&) {
    return ServerReply{.body = "file", .headers = {{"ETag", "of the store"}}};
  });
  HttpServer hub([&](const ServerRequest& request) {
    if (request.path == "/renamed")
      return ServerReply{.status = 307, .body = "moved", .headers = {{"Location", "/file"}}};
    return ServerReply{.status = 302,
                       .body = "elsewhere",
                       .headers = {{"Location", store.url("/")}, {"X-Linked-Etag", "of the file"}}};
  });
  HttpClient client;
  const HttpResponse same_host = client.send(
      {.method = "HEAD", .url = hub.url("/renamed"), .redirects = Redirects::kSameHost});
  EXPECT_EQ(same_host.status, 302);
  EXPECT_EQ(same_host.url, hub.url("/file"));
  EXPECT_EQ(same_host.header("x-linked-etag"), "of the file");
  EXPECT_EQ(store.num_requests(), 0);
  std::string streamed;
  const HttpResponse all = client.send({.url = hub.url("/renamed"),
                                        .redirects = Redirects::kAll,
                                        .on_body = [&](int, std::string_view chunk) {
                                          streamed += chunk;
                                          return true;
                                        }});
  EXPECT_EQ(all.status, 200);
  EXPECT_EQ(streamed, "file");
  EXPECT_EQ(all.header("etag"), "of the store");
  EXPECT_EQ(all.header("x-linked-etag"), "");
}

TEST(HttpClient, NoRedirectFromHttpsToHttp) {
  HttpServer plain([](const ServerRequest&) { return ServerReply{.body = "in the clear"}; });
  const charm::testing::TempFolder folder;
  charm::testing::TlsServer secure(
      [&](const std::string& path) {
        if (path == "/file") return ServerReply{.body = "file"};
        return ServerReply{
            .status = 302,
            .headers = {{"Location", path == "/https" ? "/file" : plain.url("/file")}}};
      },
      folder.path());
  EXPECT_FALSE(HttpClient().send({.url = secure.url("/file")}).error.empty()) << "self-signed";
  HttpClient client({.ca_file = secure.ca_file()});
  for (const Redirects redirects : {Redirects::kAll, Redirects::kSameHost}) {
    EXPECT_EQ(client.send({.url = secure.url("/https"), .redirects = redirects}).body, "file");
  }
  EXPECT_ERROR(kNetwork, "expected an https URL; not followed",
               client.send({.url = secure.url("/http"), .redirects = Redirects::kAll}));
  EXPECT_EQ(client.send({.url = secure.url("/http"), .redirects = Redirects::kSameHost}).status,
            302);
  EXPECT_EQ(plain.num_requests(), 0);
}

TEST(HttpClient, ReadsRetryAfter) {
  HttpServer server([](const ServerRequest& request) {
    ServerReply reply{.status = 429};
    if (request.has("x-value")) reply.headers = {{"Retry-After", request.header("x-value")}};
    return reply;
  });
  HttpClient client({.max_connections = 1});
  const auto seconds_of = [&](const std::string& value) {
    return client.send({.url = server.url("/"), .headers = {{"X-Value", value}}})
        .retry_after.count();
  };
  EXPECT_EQ(seconds_of("3"), 3);
  EXPECT_EQ(client.send({.url = server.url("/")}).retry_after.count(), 0) << "the previous one";
  for (const char* none : {"0", "soon", "-4", "Sun, 06 Nov 1994 08:49:37 GMT"})
    EXPECT_EQ(seconds_of(none), 0) << none;
  EXPECT_EQ(seconds_of("99999999999"), 1'000'000);
  const std::time_t later = std::time(nullptr) + 100;
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&later));
  EXPECT_NEAR(static_cast<double>(seconds_of(date)), 100.0, 5.0);
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
