#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "charm/base/files.h"
#include "tests/e2e/server_fixture.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A TCP connection that sends what it is told to.
class RawConnection {
 public:
  explicit RawConnection(const std::string& url) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    const timeval limit{.tv_sec = 60, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
  }
  ~RawConnection() { close(); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void send(const std::string& bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Until the server closes the connection.
  std::string read_all() const {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(fd_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

std::string raw_post(const std::string& path, const std::string& body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", path,
      body.size(), body);
}

/// A text of about as many tokens as words.
std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "w" + std::to_string(i % 10) + " ";
  return text;
}

class ServeFaults : public ServedWorld {
 protected:
  void expect_alive(const std::string& url) {
    EXPECT_EQ(post(url + "/classify", R"({"input": "still there"})").status, 200);
  }
};

TEST_F(ServeFaults, BadBodiesAreAnswered) {
  const std::string url = serve({"--max-body-bytes", "100000"});
  ASSERT_FALSE(url.empty());
  const auto refused = [&](const std::string& path, const std::string& body, int status,
                           const std::string& part) {
    const hub::HttpResponse response = post(url + path, body);
    EXPECT_EQ(response.status, status) << path << " " << response.body;
    EXPECT_THAT(response.body, HasSubstr(part));
    EXPECT_TRUE(json::parse(response.body)["error"]["message"].is_string());
  };
  refused("/score", "no json", 400, "not JSON");
  refused("/score", "", 400, "not JSON");
  refused("/score", "{\"conversations\": \"\xc3\x28\"}", 400, "invalid UTF-8 at byte");
  refused("/score", R"({"conversation": []})", 400, "conversations");
  refused("/score", std::string(1000, '['), 400, "nest deeper");
  refused("/classify", R"({"input": {}})", 400, "input");
  refused("/v1/embeddings", R"({"input": []})", 400, "empty");
  refused("/get_reward", R"({"query": [null]})", 400, "query[0]");
  refused("/v1/score/evaluation", R"({"messages": ["a"], "max_length": 5})", 400, "max_length");
  refused("/classify", "{\"input\": \"" + words(40000) + "\"}", 413, "100000 bytes");

  RawConnection not_http(url);
  not_http.send("this is no HTTP\r\n\r\n");
  EXPECT_THAT(not_http.read_all(), StartsWith("HTTP/1.1 400"));
  RawConnection large_header(url);
  large_header.send("GET /health HTTP/1.1\r\nX: " + std::string(70000, 'x'));
  EXPECT_THAT(large_header.read_all(), StartsWith("HTTP/1.1 431"));
  RawConnection compressed(url);
  compressed.send(
      "POST /score HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: "
      "close\r\n\r\n{}");
  EXPECT_THAT(compressed.read_all(), StartsWith("HTTP/1.1 415"));
  RawConnection chunked(url);
  chunked.send(
      "POST /classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "e\r\n{\"input\": \"a\"}\r\n0\r\n\r\n");
  EXPECT_THAT(chunked.read_all(), StartsWith("HTTP/1.1 200"));
  expect_alive(url);
}

TEST_F(ServeFaults, OneRefusedConversationLeavesTheOthers) {
  const std::vector<ScoredResponse> rows = scored_rows(2);
  write_file(path("strict.jinja"),
             "{% for m in messages %}{% if 'bad' in m.content %}{{ "
             "raise_exception('bad words') }}{% endif %}{{ m.content }}\n{% endfor %}");
  const std::string url = serve({"--template", path("strict.jinja")});
  ASSERT_FALSE(url.empty());
  json conversations = {conversation(rows[0]), conversation(rows[1])};
  conversations[1]["messages"].back()["content"] = "a bad one";
  conversations.push_back(conversation(rows[1]));
  const json reply =
      json::parse(post(url + "/score", json{{"conversations", conversations}}.dump()).body);
  EXPECT_TRUE(reply["scores"][0].is_number());
  EXPECT_TRUE(reply["scores"][1].is_null());
  EXPECT_TRUE(reply["scores"][2].is_number());
  EXPECT_THAT(reply["errors"][1].get<std::string>(), HasSubstr("bad words"));
}

TEST_F(ServeFaults, LongTextsAreTruncated) {
  const std::string url = serve({"--max-tokens", "40"});
  ASSERT_FALSE(url.empty());
  const json body = {{"conversations",
                      {{{"messages",
                         {{{"role", "user"}, {"content", words(100)}},
                          {{"role", "assistant"}, {"content", "yes"}}}}}}}};
  const json reply = json::parse(post(url + "/score", body.dump()).body);
  EXPECT_EQ(reply["truncated"], json::parse("[true]"));
  EXPECT_EQ(reply["num_tokens"], json::parse("[40]"));
}

TEST_F(ServeFaults, SlowSendersAreCut) {
  const std::string url = serve({"--request-timeout-s", "1"});
  ASSERT_FALSE(url.empty());
  RawConnection header(url), body(url), idle(url);
  header.send("POST /score HTTP/1.1\r\nContent-");
  body.send("POST /score HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_THAT(header.read_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(idle.read_all(), "");  // closed without a request
  expect_alive(url);
}

TEST_F(ServeFaults, AFullQueueAnswers503) {
  const std::string url = serve({"--max-waiting", "8"});
  ASSERT_FALSE(url.empty());
  hub::HttpClient client({.max_connections = 64});
  std::map<int, int> statuses;
  bool has_retry_after = true;
  const std::string body = json{{"input", {words(600), words(601), words(602), words(603)}}}.dump();
  for (int i = 0; i < 40; ++i) {
    client.start({.method = "POST", .url = url + "/classify", .body = body},
                 [&](const hub::HttpResponse& response) {
                   ++statuses[response.status];
                   if (response.status == 503 && response.retry_after.count() < 1)
                     has_retry_after = false;
                 });
  }
  client.run();
  EXPECT_EQ(statuses[200] + statuses[503], 40);
  EXPECT_GT(statuses[503], 0);
  EXPECT_GT(statuses[200], 0);
  EXPECT_TRUE(has_retry_after);
  // More than the limit, but nothing else waits.
  const hub::HttpResponse many =
      post(url + "/classify", json{{"input", std::vector<std::string>(9, "a")}}.dump());
  EXPECT_EQ(many.status, 200) << many.body;
  expect_alive(url);
}

TEST_F(ServeFaults, ClientsThatLeaveDoNotMatter) {
  const std::vector<ScoredResponse> rows = scored_rows(1);
  const std::string url = serve();
  ASSERT_FALSE(url.empty());
  const std::string body = json{{"input", std::vector<std::string>(16, words(500))}}.dump();
  for (int round = 0; round < 20; ++round) {
    RawConnection whole(url), half(url), nothing(url);
    whole.send(raw_post("/classify", body));
    half.send(raw_post("/classify", body).substr(0, 300));
  }
  const json reply = json::parse(
      post(url + "/score", json{{"conversations", {conversation(rows[0])}}}.dump()).body);
  EXPECT_EQ(static_cast<float>(reply["scores"][0].get<double>()), rows[0].score);
  EXPECT_THAT(get(url + "/metrics").body, testing::Not(HasSubstr("charm_dropped_total 0\n")));
}

TEST_F(ServeFaults, TerminationAnswersWhatRuns) {
  const std::string url = serve();
  ASSERT_FALSE(url.empty());
  std::vector<std::unique_ptr<RawConnection>> clients;
  const std::string body = json{{"input", std::vector<std::string>(8, words(400))}}.dump();
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<RawConnection>(url));
    clients.back()->send(raw_post("/classify", body));
  }
  RawConnection idle(url);
  while (get(url + "/metrics").body.find("charm_connections 8\n") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  server_->send_signal(SIGTERM);
  for (const auto& client : clients) EXPECT_THAT(client->read_all(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(idle.read_all(), "");
  const Outcome outcome = server_->wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

// 10,000 requests over 256 connections: every one is answered with its own score, memory stays.
TEST_F(ServeFaults, TenThousandRequests) {
  const std::string url = serve({"--max-waiting", "1000"});
  ASSERT_FALSE(url.empty());
  constexpr int kRequests = 10'000;
  std::vector<std::string> texts;
  std::vector<double> expected;
  for (int i = 0; i < 50; ++i) texts.push_back(words(1 + i));
  const json first = json::parse(post(url + "/classify", json{{"input", texts}}.dump()).body);
  for (const json& entry : first["data"]) expected.push_back(entry["probs"][0].get<double>());

  hub::HttpClient client({.max_connections = 256});
  int num_right = 0;
  std::int64_t rss_midway = 0;
  for (int i = 0; i < kRequests; ++i) {
    const auto t = static_cast<std::size_t>(i) % texts.size();
    client.start(
        {.method = "POST", .url = url + "/classify", .body = json{{"input", texts[t]}}.dump()},
        [&, t](const hub::HttpResponse& response) {
          if (response.status != 200) return;
          const json reply = json::parse(response.body);
          num_right += reply["data"][0]["probs"][0].get<double>() == expected[t] ? 1 : 0;
          if (num_right == kRequests / 2) rss_midway = server_->rss_bytes();
        });
  }
  client.run();
  EXPECT_EQ(num_right, kRequests);
  EXPECT_GT(rss_midway, 0);
  EXPECT_LT(server_->rss_bytes(), rss_midway + (std::int64_t{32} << 20));
}

}  // namespace
}  // namespace charm::e2e
