#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::serve {

/// Cumulative counts of a value by upper bounds, as Prometheus's histograms. Not thread-safe.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void add(double value);
  /// Lines of the exposition format.
  std::string text(std::string_view name, std::string_view help) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::int64_t> counts_;  ///< one per bound, and one above all
  double sum_ = 0.0;
};

/// Counters of a server in Prometheus's text format (version 0.0.4). Thread-safe.
class Metrics {
 public:
  Metrics();

  void request_done(std::string_view endpoint, int status, double seconds);
  void batch_done(std::int64_t num_rows, std::int64_t num_tokens, double seconds);
  void rows_done(std::int64_t num_scored, std::int64_t num_errors);
  void rows_dropped(std::int64_t num_rows);

  /// Rows per second while the model computes; 0 before the first batch.
  double rows_per_second() const;

  /// @param num_waiting      conversations that wait for the model
  /// @param num_connections  open connections
  std::string text(std::int64_t num_waiting, std::int64_t num_connections) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::int64_t> requests_;  ///< by endpoint and status
  Histogram request_seconds_;
  Histogram batch_rows_;
  Histogram batch_tokens_;
  std::int64_t num_rows_ = 0;
  std::int64_t num_row_errors_ = 0;
  std::int64_t num_dropped_ = 0;
  std::int64_t num_batches_rows_ = 0;
  std::int64_t num_tokens_ = 0;
  double compute_seconds_ = 0.0;
  double last_tokens_per_second_ = 0.0;
};

}  // namespace charm::serve
