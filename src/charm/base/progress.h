#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace charm {

/// Progress of a running stage. `total` is 0 while unknown.
struct Progress {
  std::string what;  ///< "scoring", "training", ...
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string unit;    ///< "rows", "steps", ...
  std::string detail;  ///< free text shown after the bar: "412 tokens/s", "loss 0.61"
};

/// Progress callback of a stage; the command line renders it. May be empty. Calls are serialized.
using ProgressFn = std::function<void(const Progress&)>;

/// Counts finished units of a multi-threaded stage and reports each. Thread-safe.
class ProgressCounter {
 public:
  /// `progress` may be empty.
  ProgressCounter(ProgressFn progress, std::string what, std::int64_t total, std::string unit)
      : progress_(std::move(progress)),
        state_{.what = std::move(what),
               .done = 0,
               .total = total,
               .unit = std::move(unit),
               .detail = ""} {}

  /// One more unit is done.
  void advance() {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    ++state_.done;
    progress_(state_);
  }

 private:
  ProgressFn progress_;
  std::mutex mutex_;
  Progress state_;
};

}  // namespace charm
