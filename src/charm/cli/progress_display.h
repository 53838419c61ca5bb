#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "charm/base/progress.h"
#include "charm/pipeline/runner.h"

namespace charm::cli {

enum class ProgressStyle {
  kNone,   ///< nothing
  kLines,  ///< a plain line every ten seconds: log files, pipes
  kBar,    ///< one line that is redrawn: terminals
};

/// kBar when stderr is a terminal, kLines otherwise.
ProgressStyle progress_style_of_stderr();

/// "scoring  120/805 rows  12.3 rows/s  0:55 left  (412 tokens/s)"; rate 0: unknown, then neither
/// rate nor time is shown.
std::string progress_text(const Progress& progress, double rate_per_s);

/// "[=====>     ]" for a share in [0, 1].
std::string progress_bar(double share, std::size_t width);

/// Units per second since the current stage began. The rate restarts with another stage, or when a
/// stage restarts: a recipe trains one model after the other.
class ProgressRate {
 public:
  /// @param now_s  seconds on a steady clock
  /// @return       whether a stage (re)starts
  bool update(const Progress& progress, double now_s);
  double per_second() const { return rate_per_s_; }  ///< 0 while unknown

 private:
  std::string what_;
  std::int64_t first_done_ =
      0;  ///< count at the start of this process: a resumed stage does not start at 0
  std::int64_t last_done_ = 0;
  double begin_s_ = 0.0;
  double rate_per_s_ = 0.0;
};

/// Shows the progress of successive stages on stderr. Calls come from one thread at a time.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(ProgressStyle style) : style_(style) {}
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void show(const Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  void end_bar();

  ProgressStyle style_;
  ProgressRate rate_;
  Clock::time_point last_drawn_{};
  bool bar_open_ = false;
};

/// Prints a line to stdout for each step of a run when it finishes or is skipped; nothing when
/// `quiet`.
pipeline::StepFn step_lines(std::size_t num_steps, bool quiet, bool dry_run);

}  // namespace charm::cli
