#include "charm/serve/metrics.h"

#include <gmock/gmock.h>

namespace charm::serve {
namespace {

using ::testing::HasSubstr;

TEST(ServeMetrics, HistogramsAreCumulative) {
  Histogram histogram({1, 10});
  for (const double value : {0.5, 1.0, 2.0, 100.0}) histogram.add(value);
  EXPECT_EQ(histogram.text("x", "help"),
            "# HELP x help\n# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"10\"} 3\n"
            "x_bucket{le=\"+Inf\"} 4\nx_sum 103.5\nx_count 4\n");
}

TEST(ServeMetrics, CountsRequestsBatchesAndRows) {
  Metrics metrics;
  EXPECT_EQ(metrics.rows_per_second(), 0.0);
  metrics.request_done("/score", 200, 0.002);
  metrics.request_done("/score", 200, 0.2);
  metrics.request_done("/score", 400, 0.001);
  metrics.batch_done(/*num_rows=*/8, /*num_tokens=*/1000, /*seconds=*/2.0);
  metrics.rows_done(/*num_scored=*/7, /*num_errors=*/1);
  EXPECT_EQ(metrics.rows_per_second(), 4.0);
  const std::string text = metrics.text(/*num_waiting=*/3, /*num_connections=*/2);
  for (const char* line :
       {"charm_requests_total{endpoint=\"/score\",code=\"200\"} 2\n",
        "charm_requests_total{endpoint=\"/score\",code=\"400\"} 1\n",
        "charm_request_duration_seconds_bucket{le=\"0.0025\"} 2\n", "charm_queue_waiting 3\n",
        "charm_connections 2\n", "charm_batch_rows_bucket{le=\"8\"} 1\n", "charm_scores_total 7\n",
        "charm_errors_total 1\n", "charm_tokens_total 1000\n", "charm_tokens_per_second 500\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

}  // namespace
}  // namespace charm::serve
