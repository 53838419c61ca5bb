#include "charm/generate/server_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/support/fake_llm.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::generate {
namespace {

using charm::testing::error_of;
using charm::testing::FakeLlm;
using charm::testing::ServerReply;
using nlohmann::json;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<GenerationRequest> numbered(int count) {
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back({.index = static_cast<std::size_t>(i) + 100,
                        .prompt_id = "p" + std::to_string(i),
                        .prompt = {{"user", "q" + std::to_string(i)}}});
  }
  return requests;
}

ServerOptions options_for(std::vector<std::string> urls) {
  ServerOptions options;
  options.urls = std::move(urls);
  options.model = "tiny";
  options.concurrency = 8;
  options.first_delay = milliseconds(2);
  options.max_delay = milliseconds(20);
  options.patience_s = 0.3;
  return options;
}

/// Results by index; fails the test on duplicates.
std::map<std::size_t, GenerationResult> generate_all(const ServerOptions& options,
                                                     const std::vector<GenerationRequest>& requests,
                                                     const std::function<void()>& on_each = {}) {
  std::map<std::size_t, GenerationResult> results;
  make_server_generator(options)->generate(requests, {}, [&](GenerationResult result) {
    EXPECT_TRUE(results.emplace(result.index, result).second) << "twice: " << result.index;
    if (on_each) on_each();
  });
  return results;
}

/// Every request has its own response.
void expect_complete(const std::map<std::size_t, GenerationResult>& results,
                     const std::vector<GenerationRequest>& requests) {
  ASSERT_EQ(results.size(), requests.size());
  for (const GenerationRequest& request : requests) {
    const GenerationResult& result = results.at(request.index);
    EXPECT_FALSE(result.error) << *result.error;
    EXPECT_THAT(result.response, HasSubstr("echo " + request.prompt.back().content + " "));
  }
}

TEST(ServerGenerator, CompletesEveryRequestOnce) {
  FakeLlm server;
  const auto requests = numbered(200);
  const auto results = generate_all(options_for({server.url()}), requests);
  expect_complete(results, requests);
  EXPECT_EQ(server.num_received(), 200);
  EXPECT_LE(server.num_connections(), 10);  // keep-alive: 8 and those of the probes
  EXPECT_EQ(results.at(100).finish_reason, "stop");
  EXPECT_EQ(results.at(100).num_tokens, 3);
  EXPECT_EQ(results.at(100).num_prompt_tokens, 7);
}

TEST(ServerGenerator, SeedsDependOnPromptAndSampleAlone) {
  FakeLlm one, two;
  auto requests = numbered(20);
  const auto first = generate_all(options_for({one.url()}), requests);
  std::reverse(requests.begin(), requests.end());
  const auto second = generate_all(options_for({two.url(), one.url()}), requests);
  for (const auto& [index, result] : first) EXPECT_EQ(result.response, second.at(index).response);
}

TEST(ServerGenerator, RetriesEveryKindOfFault) {
  FakeLlm server([](int number, const json& body) -> std::optional<ServerReply> {
    switch (number % 9) {
      case 0:
        return ServerReply{.status = 500, .body = R"({"error":{"message":"CUDA error"}})"};
      case 1:
        return ServerReply{.cut_after = -2};
      case 2: {
        ServerReply cut = FakeLlm::completion(body, "tiny");
        cut.cut_after = 20;
        return cut;
      }
      case 3:
        return ServerReply{.body = FakeLlm::completion(body, "tiny").body.substr(0, 40)};
      case 4:
        return ServerReply{.body = R"({"model":"tiny","choices":[]})"};
      case 5:
        return ServerReply{.body = "<html>gateway</html>"};
      case 6:
        return ServerReply{.status = 503, .headers = {{"Retry-After", "0.01"}}};
      default:
        return std::nullopt;
    }
  });
  ServerOptions options = options_for({server.url()});
  options.retries = 60;
  options.patience_s = 30.0;  // consecutive failures may mark it as down temporarily
  const auto requests = numbered(60);
  expect_complete(generate_all(options, requests), requests);
  EXPECT_EQ(server.num_completed(), 60);
}

TEST(ServerGenerator, BacksOffOn429) {
  std::atomic<int> storm{150};
  FakeLlm server([&](int, const json&) -> std::optional<ServerReply> {
    if (--storm >= 0)
      return ServerReply{.status = 429, .body = "slow down", .headers = {{"Retry-After", "0.005"}}};
    return std::nullopt;
  });
  ServerOptions options = options_for({server.url()});
  options.retries = 0;  // 429 does not count as a failure
  options.concurrency = 64;
  options.first_delay = milliseconds(1);
  std::atomic<int> answered{0};
  const auto requests = numbered(100);
  const auto results = generate_all(options, requests, [&] { ++answered; });
  expect_complete(results, requests);
}

TEST(ServerGenerator, SlowResponsesTimeOutAndAreRetried) {
  FakeLlm server([](int number, const json&) -> std::optional<ServerReply> {
    if (number == 1) return ServerReply{.body = "late", .delay = milliseconds(5000)};
    return std::nullopt;
  });
  ServerOptions options = options_for({server.url()});
  options.timeout_s = 0.2;
  options.concurrency = 1;
  const auto requests = numbered(3);
  expect_complete(generate_all(options, requests), requests);
}

TEST(ServerGenerator, FailedRowsHaveTheirError) {
  FakeLlm server([](int, const json& body) -> std::optional<ServerReply> {
    const std::string prompt = body["messages"].back()["content"];
    if (prompt == "q1")
      return ServerReply{.status = 400,
                         .body = R"({"error":{"message":"maximum context length is 128 tokens"}})"};
    if (prompt == "q2") return ServerReply{.status = 500};
    return std::nullopt;
  });
  ServerOptions options = options_for({server.url()});
  options.retries = 2;
  const auto results = generate_all(options, numbered(5));
  EXPECT_THAT(*results.at(101).error, HasSubstr("maximum context length is 128 tokens"));
  EXPECT_THAT(*results.at(102).error,
              AllOf(HasSubstr("gave up after 3 attempts"), HasSubstr("HTTP 500")));
  EXPECT_FALSE(results.at(100).error);
  EXPECT_FALSE(results.at(104).error);
}

TEST(ServerGenerator, FailedResponsesAreRetriedOrErrors) {
  FakeLlm server([](int number, const json& body) -> std::optional<ServerReply> {
    const std::string prompt = body["messages"].back()["content"];
    if (prompt == "q1" && number < 20) return FakeLlm::completion(body, "tiny", "abort");
    if (prompt == "q2") return FakeLlm::completion(body, "tiny", "error");
    if (prompt == "q3") return FakeLlm::completion(body, "tiny", "content_filter");
    return std::nullopt;
  });
  ServerOptions options = options_for({server.url()});
  options.retries = 40;
  options.max_delay = milliseconds(2);
  const auto results = generate_all(options, numbered(5));
  EXPECT_FALSE(results.at(101).error);
  EXPECT_THAT(*results.at(102).error, HasSubstr("finish_reason is 'error'"));
  EXPECT_THAT(*results.at(103).error, HasSubstr("content filter"));
  EXPECT_FALSE(results.at(104).error);
}

TEST(ServerGenerator, AFailingModelListIsNoMissingServer) {
  FakeLlm server;
  server.fail_model_list();
  const auto requests = numbered(3);
  expect_complete(generate_all(options_for({server.url()}), requests), requests);
}

TEST(ServerGenerator, UsesMaxCompletionTokensIfRequired) {
  FakeLlm newer([](int, const json& body) -> std::optional<ServerReply> {
    if (!body.contains("max_tokens")) return {};
    return ServerReply{
        .status = 400,
        .body =
            R"({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. )"
            R"(Use 'max_completion_tokens' instead.", "param": "max_tokens"}})"};
  });
  const auto requests = numbered(40);
  expect_complete(generate_all(options_for({newer.url()}), requests), requests);
  EXPECT_EQ(newer.num_completed(), 40);
  for (const json& body : newer.bodies()) EXPECT_EQ(body["max_completion_tokens"], 4096);
  EXPECT_LE(newer.num_received(), 48) << "only those in flight are retried";
  // A server that rejects both fields is not retried forever.
  FakeLlm neither([](int, const json&) {
    return std::optional(ServerReply{
        .status = 400, .body = R"({"error": {"message": "max_completion_tokens is wrong"}})"});
  });
  for (const auto& [index, result] : generate_all(options_for({neither.url()}), numbered(3)))
    EXPECT_TRUE(result.error);
}

TEST(ServerGenerator, RequestsOfAFailedServerAreRetriedOnOthers) {
  auto dying = std::make_unique<FakeLlm>([](int, const json&) -> std::optional<ServerReply> {
    std::this_thread::sleep_for(milliseconds(1));
    return std::nullopt;
  });
  FakeLlm living([](int, const json&) -> std::optional<ServerReply> {
    std::this_thread::sleep_for(milliseconds(1));
    return std::nullopt;
  });
  ServerOptions options = options_for({dying->url(), living.url()});
  options.patience_s = 60.0;
  const auto requests = numbered(400);
  int count = 0;
  const auto results = generate_all(options, requests, [&] {
    if (++count == 100) dying->stop();
  });
  expect_complete(results, requests);
  EXPECT_GT(dying->num_completed(), 10);
  EXPECT_GT(living.num_completed(), 200);
}

TEST(ServerGenerator, AServerThatRecoversIsUsedAgain) {
  auto server = std::make_unique<FakeLlm>();
  const int port = server->port();
  std::unique_ptr<FakeLlm> second;
  ServerOptions options = options_for({server->url()});
  options.patience_s = 60.0;
  options.retries = 50;
  const auto requests = numbered(100);
  int count = 0;
  std::thread restart;
  const auto results = generate_all(options, requests, [&] {
    if (++count != 20) return;
    server->stop();
    restart = std::thread([&] {
      std::this_thread::sleep_for(milliseconds(100));
      second = std::make_unique<FakeLlm>(FakeLlm::Fault(), "tiny", port);
    });
  });
  restart.join();
  expect_complete(results, requests);
}

TEST(ServerGenerator, FailsIfAllServersAreUnreachable) {
  FakeLlm server;
  int count = 0;
  const ServerOptions options = options_for({server.url()});
  const Error error = error_of([&] {
    generate_all(options, numbered(100), [&] {
      if (++count == 30) server.stop();
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("all servers unreachable"), HasSubstr(server.url()),
                                     HasSubstr("of 100 requests")));
  EXPECT_GE(count, 30);
}

TEST(ServerGenerator, ServersThatAreDownAtStart) {
  std::string gone;
  {
    FakeLlm server;
    gone = server.url();
  }
  const Error error = error_of([&] { make_server_generator(options_for({gone})); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr(gone + "/v1/models"), HasSubstr("no server is reachable")));
  // One of two: the other serves all requests.
  FakeLlm living;
  const auto requests = numbered(20);
  expect_complete(generate_all(options_for({gone, living.url()}), requests), requests);
  // --wait waits for one that starts late.
  const int port = std::stoi(gone.substr(gone.rfind(':') + 1));
  std::unique_ptr<FakeLlm> late;
  std::thread start([&] {
    std::this_thread::sleep_for(milliseconds(50));
    late = std::make_unique<FakeLlm>(FakeLlm::Fault(), "tiny", port);
  });
  ServerOptions options = options_for({gone});
  options.wait_s = 20.0;
  expect_complete(generate_all(options, requests), requests);
  start.join();
}

TEST(ServerGenerator, OtherModelsAreDetectedAtStartAndLater) {
  FakeLlm other({}, "other-model");
  Error error = error_of([&] { make_server_generator(options_for({other.url()})); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr("'other-model'"), HasSubstr("'tiny'"), HasSubstr(other.url())));
  FakeLlm changing([](int, const json& body) -> std::optional<ServerReply> {
    return FakeLlm::completion(body, "tiny-v2");
  });
  error = error_of([&] { generate_all(options_for({changing.url()}), numbered(3)); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("'tiny-v2'"), HasSubstr("--accept-model")));
  FakeLlm unknown([](int, const json&) -> std::optional<ServerReply> {
    return ServerReply{.status = 404,
                       .body = R"({"error":{"message":"The model `tiny` does not exist."}})"};
  });
  error = error_of([&] { generate_all(options_for({unknown.url()}), numbered(3)); });
  EXPECT_THAT(error.message(), AllOf(HasSubstr("does not exist"), HasSubstr("--server-model")));
}

TEST(ServerGenerator, SendsTheApiKey) {
  charm::testing::HttpServer guarded([](const charm::testing::ServerRequest& request) {
    if (request.header("authorization") != "Bearer s3cret")
      return ServerReply{.status = 401, .body = R"({"error":"no"})"};
    if (request.path == "/v1/models") return ServerReply{.body = R"({"data":[]})"};
    return FakeLlm::completion(json::parse(request.body), "tiny");
  });
  ServerOptions options = options_for({guarded.url()});
  Error error = error_of([&] { make_server_generator(options); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), HasSubstr("--api-key-env"));
  options.api_key_env = "MY_KEY";
  options.api_key = "wr0ng";
  error = error_of([&] { make_server_generator(options); });
  EXPECT_THAT(error.message(), AllOf(HasSubstr("MY_KEY"), ::testing::Not(HasSubstr("wr0ng"))));
  options.api_key = "s3cret";
  const auto requests = numbered(3);
  expect_complete(generate_all(options, requests), requests);
}

TEST(ServerGenerator, RejectsOtherHttpServices) {
  charm::testing::HttpServer page([](const charm::testing::ServerRequest&) {
    return ServerReply{.body = "<html>hello</html>"};
  });
  const Error error = error_of([&] { make_server_generator(options_for({page.url()})); });
  EXPECT_EQ(error.kind(), ErrorKind::kNetwork);
  EXPECT_THAT(error.message(), HasSubstr("HTML"));
  // No model list, but a health endpoint, as in old TGI.
  charm::testing::HttpServer plain([](const charm::testing::ServerRequest& request) {
    if (request.path == "/health") return ServerReply{};
    if (request.path == "/v1/models") return ServerReply{.status = 404};
    return FakeLlm::completion(json::parse(request.body), "tiny");
  });
  const auto requests = numbered(3);
  expect_complete(generate_all(options_for({plain.url() + "/v1/chat/completions"}), requests),
                  requests);
}

TEST(ServerGenerator, CompletionsGetTheRenderedPrompt) {
  const charm::testing::TempFolder folder;
  FakeLlm server;
  ServerOptions options = options_for({server.url()});
  options.endpoint = Endpoint::kCompletions;
  EXPECT_EQ(error_of([&] { make_server_generator(options); }).kind(), ErrorKind::kUsage);
  options.template_file = folder.file("t.jinja",
                                      "{% if messages[0].content == 'q1' %}{{ raise_exception('no "
                                      "q1 here') }}{% endif %}[{{ messages[0].content }}]");
  const auto results = generate_all(options, numbered(3));
  EXPECT_THAT(results.at(100).response, HasSubstr("echo [q0] "));
  EXPECT_THAT(*results.at(101).error, HasSubstr("no q1 here"));
  EXPECT_EQ(server.requests().back().path, "/v1/completions");
}

TEST(ServerGenerator, DuplicateUrlsAreRejected) {
  FakeLlm server;
  EXPECT_EQ(error_of([&] {
              make_server_generator(options_for({server.url(), server.url() + "/v1"}));
            }).kind(),
            ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { make_server_generator(options_for({"localhost:1"})); }).kind(),
            ErrorKind::kUsage);
}

}  // namespace
}  // namespace charm::generate
