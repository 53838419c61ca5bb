#include "charm/hub/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/http_server.h"

namespace charm::hub {
namespace {

using std::chrono::milliseconds;

HttpResponse response_of(int status, std::string body = "", int retry_after_s = 0) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  response.retry_after = std::chrono::seconds(retry_after_s);
  return response;
}

TEST(Retry, TransientResponses) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504})
    EXPECT_TRUE(is_transient(response_of(status))) << status;
  for (const int status : {200, 204, 302, 400, 401, 403, 404, 413, 422, 501})
    EXPECT_FALSE(is_transient(response_of(status))) << status;
  HttpResponse dropped = response_of(200);
  dropped.error = "connection reset";
  EXPECT_TRUE(is_transient(dropped));
}

TEST(Retry, BacksOffExponentiallyWithJitter) {
  const RetryPolicy policy{
      .max_retries = 5, .first_delay = milliseconds(100), .max_delay = milliseconds(1000)};
  RandomStream random(1, "test");
  for (int attempt = 0; attempt < 8; ++attempt) {
    const double whole = std::min(100.0 * (1 << attempt), 1000.0);
    milliseconds least = milliseconds::max(), most(0);
    for (int i = 0; i < 200; ++i) {
      const milliseconds delay = retry_delay(policy, attempt, response_of(500), random);
      EXPECT_GE(static_cast<double>(delay.count()), whole / 2 - 1.0);
      EXPECT_LE(static_cast<double>(delay.count()), whole);
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    EXPECT_GT(static_cast<double>((most - least).count()), whole / 4) << "no jitter";
  }
  const RetryPolicy patient{
      .max_retries = 5, .first_delay = milliseconds(100), .max_delay = milliseconds(9000)};
  EXPECT_GE(retry_delay(patient, 0, response_of(429, "", 3), random), milliseconds(3000));
  EXPECT_LE(retry_delay(patient, 7, response_of(429, "", 3), random),
            milliseconds(3100));  // Retry-After takes precedence
  EXPECT_LE(retry_delay(policy, 0, response_of(429, "", 86400), random),
            milliseconds(1100));  // limited by max_delay
}

TEST(Retry, DescribesErrorBodies) {
  EXPECT_EQ(describe(response_of(404, R"({"error":{"message":"The model `x` does not exist."}})")),
            "HTTP 404: The model `x` does not exist.");
  EXPECT_EQ(describe(response_of(400, R"({"object":"error","message":"too long"})")),
            "HTTP 400: too long");
  EXPECT_EQ(describe(response_of(401, R"({"error":"Invalid credentials"})")),
            "HTTP 401: Invalid credentials");
  EXPECT_EQ(describe(response_of(502, "\n<html><body>Bad gateway</body></html>")),
            "HTTP 502: an HTML page");
  EXPECT_EQ(describe(response_of(500)), "HTTP 500");
  EXPECT_EQ(describe(response_of(500, "a\nb")), "HTTP 500: a b");
  EXPECT_LE(describe(response_of(500, std::string(5000, 'x'))).size(), 220u);
  HttpResponse refused;
  refused.error = "connection refused";
  EXPECT_EQ(describe(refused), "connection refused");
}

TEST(Retry, RetriesTransientErrors) {
  std::atomic<int> count{0};
  charm::testing::HttpServer server([&](const charm::testing::ServerRequest&) {
    const int n = ++count;
    if (n == 1) return charm::testing::ServerReply{.status = 503};
    if (n == 2) return charm::testing::ServerReply{.body = "cut short", .cut_after = 3};
    return charm::testing::ServerReply{.body = "fine"};
  });
  HttpClient client;
  RandomStream random(1, "test");
  const RetryPolicy policy{
      .max_retries = 5, .first_delay = milliseconds(1), .max_delay = milliseconds(5)};
  EXPECT_EQ(send_with_retries(client, {.url = server.url("/")}, policy, random).body, "fine");
  EXPECT_EQ(count, 3);
  charm::testing::HttpServer never([&](const charm::testing::ServerRequest&) {
    return charm::testing::ServerReply{.status = 503};
  });
  EXPECT_EQ(send_with_retries(client, {.url = never.url("/")}, policy, random).status, 503);
  EXPECT_EQ(never.num_requests(), 6);
}

}  // namespace
}  // namespace charm::hub
