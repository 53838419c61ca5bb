#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/text/chat_template.h"
#include "tests/e2e/server_fixture.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ServeTest : public ServedWorld {};

/// The bits of what a reply says, which are those of a float32.
float as_float(const json& value) { return static_cast<float>(value.get<double>()); }

TEST_F(ServeTest, ScoresAreThoseOfCharmScore) {
  const std::vector<ScoredResponse> rows = scored_rows(120);
  const text::ChatTemplate chat_template =
      text::ChatTemplate::load(path("rm"), std::nullopt, "2024-07-26");
  const std::string url = serve();
  ASSERT_FALSE(url.empty());
  json conversations = json::array(), texts = json::array();
  for (const ScoredResponse& row : rows) {
    conversations.push_back(conversation(row));
    texts.push_back(chat_template.render(row.response.prompt, row.response.message()));
  }
  const json scored =
      json::parse(post(url + "/score", json{{"conversations", conversations}}.dump()).body);
  const json classified = json::parse(post(url + "/classify", json{{"input", texts}}.dump()).body);
  const json pooled = json::parse(post(url + "/pooling", json{{"input", texts}}.dump()).body);
  const json embedded =
      json::parse(post(url + "/v1/embeddings", json{{"input", texts}}.dump()).body);
  const json rewards = json::parse(post(url + "/get_reward", json{{"query", texts}}.dump()).body);
  const json evaluated = json::parse(
      post(url + "/v1/score/evaluation", json{{"model", "rm"}, {"messages", texts}}.dump()).body);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(as_float(scored["scores"][r]), rows[r].score);
    EXPECT_EQ(scored["num_tokens"][r], rows[r].num_tokens);
    EXPECT_EQ(scored["truncated"][r], rows[r].truncated);
    EXPECT_EQ(as_float(classified["data"][r]["probs"][0]), rows[r].score);
    EXPECT_EQ(as_float(pooled["data"][r]["probs"][0]), rows[r].score);
    EXPECT_EQ(as_float(embedded["data"][r]["embedding"][0]), rows[r].score);
    EXPECT_EQ(as_float(rewards["rewards"][r]), rows[r].score);
    EXPECT_EQ(as_float(evaluated["scores"][r]), rows[r].score);
  }
}

TEST_F(ServeTest, BitsDoNotDependOnWhatRunsBeside) {
  const std::vector<ScoredResponse> rows = scored_rows(240);
  for (const char* threads : {"1", "2"}) {
    const std::string url = serve({"--threads", threads, "--budget-tokens", "700"});
    ASSERT_FALSE(url.empty());
    hub::HttpClient client({.max_connections = 32});
    RandomStream random(5, threads);
    std::size_t num_equal = 0;
    for (std::size_t next = 0; next < rows.size();) {
      json conversations = json::array();
      const std::size_t begin = next;
      for (std::uint64_t n = 1 + random.below(5); n > 0 && next < rows.size(); --n)
        conversations.push_back(conversation(rows[next++]));
      const auto send = [&, begin, body = json{{"conversations", conversations}}.dump()] {
        client.start({.method = "POST", .url = url + "/score", .body = body},
                     [&, begin](const hub::HttpResponse& response) {
                       const json scores = json::parse(response.body)["scores"];
                       for (std::size_t i = 0; i < scores.size(); ++i)
                         num_equal += as_float(scores[i]) == rows[begin + i].score ? 1 : 0;
                     });
      };
      client.after(std::chrono::milliseconds(random.below(60)), send);
    }
    client.run();
    EXPECT_EQ(num_equal, rows.size());
  }
}

TEST_F(ServeTest, CalibratedScoresHaveTheirPolicysOffset) {
  write_file(
      path("calibration.json"),
      R"({"reference": "a", "policies": [{"policy": "a", "offset": 0.0}, {"policy": "b", "offset": -2.5}]})");
  const std::vector<ScoredResponse> rows = scored_rows(2);
  const std::string url = serve({"--calibration", path("calibration.json")});
  ASSERT_FALSE(url.empty());
  json conversations = {conversation(rows[0]), conversation(rows[1])};
  conversations[0]["policy"] = "b";
  const json reply =
      json::parse(post(url + "/score", json{{"conversations", conversations}}.dump()).body);
  EXPECT_EQ(reply["calibrated"][0].get<double>(), static_cast<double>(rows[0].score) - 2.5);
  EXPECT_TRUE(reply["calibrated"][1].is_null());
  conversations[1]["policy"] = "unknown";
  const hub::HttpResponse refused =
      post(url + "/score", json{{"conversations", conversations}}.dump());
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("conversations[1].policy"));
}

TEST_F(ServeTest, HealthModelsAndMetrics) {
  const std::string url = serve();
  ASSERT_FALSE(url.empty());
  EXPECT_EQ(get(url + "/health").status, 200);
  const json models = json::parse(get(url + "/v1/models").body);
  EXPECT_EQ(models["data"][0]["id"], "rm");
  EXPECT_EQ(post(url + "/classify", R"({"input": ["a b", "c"]})").status, 200);
  EXPECT_EQ(post(url + "/classify", R"({"input": [1]})").status, 400);
  const hub::HttpResponse metrics = get(url + "/metrics");
  EXPECT_THAT(std::string(metrics.header("content-type")), HasSubstr("text/plain"));
  EXPECT_THAT(metrics.body,
              HasSubstr("charm_requests_total{endpoint=\"/classify\",code=\"200\"} 1"));
  EXPECT_THAT(metrics.body,
              HasSubstr("charm_requests_total{endpoint=\"/classify\",code=\"400\"} 1"));
  EXPECT_THAT(metrics.body, HasSubstr("charm_scores_total 2"));
  EXPECT_EQ(get(url + "/score").status, 405);
  EXPECT_EQ(post(url + "/health", "").status, 405);
  const hub::HttpResponse unknown = get(url + "/nothing");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("/v1/score/evaluation"));
}

TEST_F(ServeTest, KeysAreRequired) {
  const std::string url =
      serve({"--api-key-env", "CHARM_TEST_KEY"}, {.environment = {{"CHARM_TEST_KEY", "secret"}}});
  ASSERT_FALSE(url.empty());
  const std::string body = R"({"input": "a"})";
  EXPECT_EQ(post(url + "/classify", body).status, 401);
  EXPECT_EQ(post(url + "/classify", body, "secre").status, 401);
  EXPECT_EQ(post(url + "/classify", body, "secretsecret").status, 401);
  EXPECT_EQ(post(url + "/classify", body, "secret").status, 200);
  EXPECT_EQ(get(url + "/metrics").status, 401);
  EXPECT_EQ(get(url + "/health").status, 200);
  expect_failure({"serve", "--model", path("rm"), "--api-key-env", "CHARM_NO_SUCH_KEY"}, 2,
                 {"CHARM_NO_SUCH_KEY", "not set"});
}

TEST_F(ServeTest, PortInUseAndUnknownHost) {
  const std::string url = serve();
  ASSERT_FALSE(url.empty());
  const std::string port = url.substr(url.rfind(':') + 1);
  expect_failure({"serve", "--model", path("rm"), "--port", port}, 5,
                 {"cannot listen on 127.0.0.1:" + port, "--port"});
  expect_failure({"serve", "--model", path("rm"), "--port", "0", "--host", "no.such.host.invalid"},
                 2, {"--host no.such.host.invalid"});
  expect_failure({"serve", "--model", path("rm"), "--port", "70000"}, 2,
                 {"--port: expected 0 to 65535, found 70000"});
}

TEST_F(ServeTest, AllInterfacesWithoutAKeyIsAWarning) {
  ASSERT_FALSE(serve({"--host", "0.0.0.0"}).empty());
  server_->send_signal(SIGTERM);
  EXPECT_THAT(server_->wait().err, HasSubstr("--host 0.0.0.0 without --api-key-env"));
}

}  // namespace
}  // namespace charm::e2e
