#include "charm/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace charm::serve {
namespace {

std::string header(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

template <typename T>
std::string single(std::string_view name, std::string_view type, std::string_view help, T value) {
  return header(name, type, help) + fmt::format("{} {}\n", name, value);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::add(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  sum_ += value;
}

std::string Histogram::text(std::string_view name, std::string_view help) const {
  std::string lines = header(name, "histogram", help);
  std::int64_t count = 0;
  for (std::size_t b = 0; b < counts_.size(); ++b) {
    count += counts_[b];
    const std::string bound = b < bounds_.size() ? fmt::format("{}", bounds_[b]) : "+Inf";
    lines += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, count);
  }
  return lines + fmt::format("{0}_sum {1}\n{0}_count {2}\n", name, sum_, count);
}

Metrics::Metrics()
    : request_seconds_(
          {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}),
      batch_rows_({1, 2, 4, 8, 16, 32, 64, 128, 256}),
      batch_tokens_({64, 256, 1024, 2048, 4096, 8192, 16384}) {}

void Metrics::request_done(std::string_view endpoint, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(endpoint), status}];
  request_seconds_.add(seconds);
}

void Metrics::batch_done(std::int64_t num_rows, std::int64_t num_tokens, double seconds) {
  const std::lock_guard lock(mutex_);
  batch_rows_.add(static_cast<double>(num_rows));
  batch_tokens_.add(static_cast<double>(num_tokens));
  num_batches_rows_ += num_rows;
  num_tokens_ += num_tokens;
  compute_seconds_ += seconds;
  if (seconds > 0.0) last_tokens_per_second_ = static_cast<double>(num_tokens) / seconds;
}

void Metrics::rows_done(std::int64_t num_scored, std::int64_t num_errors) {
  const std::lock_guard lock(mutex_);
  num_rows_ += num_scored;
  num_row_errors_ += num_errors;
}

void Metrics::rows_dropped(std::int64_t num_rows) {
  const std::lock_guard lock(mutex_);
  num_dropped_ += num_rows;
}

double Metrics::rows_per_second() const {
  const std::lock_guard lock(mutex_);
  return compute_seconds_ > 0.0 ? static_cast<double>(num_batches_rows_) / compute_seconds_ : 0.0;
}

std::string Metrics::text(std::int64_t num_waiting, std::int64_t num_connections) const {
  const std::lock_guard lock(mutex_);
  std::string lines =
      header("charm_requests_total", "counter", "Requests by endpoint and HTTP status.");
  for (const auto& [key, count] : requests_) {
    lines += fmt::format("charm_requests_total{{endpoint=\"{}\",code=\"{}\"}} {}\n", key.first,
                         key.second, count);
  }
  lines += request_seconds_.text("charm_request_duration_seconds",
                                 "Seconds from the complete request to its reply.");
  lines +=
      single("charm_queue_waiting", "gauge", "Conversations that wait for the model.", num_waiting);
  lines += single("charm_connections", "gauge", "Open connections.", num_connections);
  lines += batch_rows_.text("charm_batch_rows", "Conversations per batch.");
  lines += batch_tokens_.text("charm_batch_tokens", "Computed tokens per batch.");
  lines += single("charm_scores_total", "counter", "Conversations scored.", num_rows_);
  lines += single("charm_errors_total", "counter", "Conversations answered with an error.",
                  num_row_errors_);
  lines += single("charm_dropped_total", "counter",
                  "Conversations dropped because their client left.", num_dropped_);
  lines += single("charm_tokens_total", "counter", "Computed tokens.", num_tokens_);
  lines += single("charm_compute_seconds_total", "counter", "Seconds spent in the model.",
                  compute_seconds_);
  lines += single("charm_tokens_per_second", "gauge", "Computed tokens per second, last batch.",
                  last_tokens_per_second_);
  return lines;
}

}  // namespace charm::serve
