#include "charm/cli/progress_display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace charm::cli {
namespace {

constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{10};
constexpr std::size_t kBarWidth = 24;

std::string clock_text(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  const std::int64_t hours = whole / 3600;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

/// "12.3 rows/s"; below one a second "4.2 s/row".
std::string rate_text(const std::string& unit, double rate_per_s) {
  if (rate_per_s >= 1.0)
    return fmt::format("{:.{}f} {}/s", rate_per_s, rate_per_s < 100.0 ? 1 : 0, unit);
  const std::string one = unit.ends_with('s') ? unit.substr(0, unit.size() - 1) : unit;
  return fmt::format("{:.1f} s/{}", 1.0 / rate_per_s, one);
}

}  // namespace

ProgressStyle progress_style_of_stderr() {
  return isatty(STDERR_FILENO) == 1 ? ProgressStyle::kBar : ProgressStyle::kLines;
}

std::string progress_text(const Progress& progress, double rate_per_s) {
  std::string text = progress.what + "  ";
  text += progress.total > 0 ? fmt::format("{}/{} {}", progress.done, progress.total, progress.unit)
                             : fmt::format("{} {}", progress.done, progress.unit);
  if (rate_per_s > 0.0) {
    text += "  " + rate_text(progress.unit, rate_per_s);
    if (progress.total > progress.done) {
      text +=
          fmt::format("  {} left",
                      clock_text(static_cast<double>(progress.total - progress.done) / rate_per_s));
    }
  }
  if (!progress.detail.empty()) text += fmt::format("  ({})", progress.detail);
  return text;
}

std::string progress_bar(double share, std::size_t width) {
  const auto filled =
      static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  return "[" + bar + "]";
}

bool ProgressRate::update(const Progress& progress, double now_s) {
  constexpr double kTooEarlyS = 0.5;
  // Counts of several threads may arrive out of order; that is not a restart.
  const bool starts_over = progress.done < last_done_ && progress.done <= first_done_;
  const bool begins = progress.what != what_ || starts_over;
  if (begins) {
    what_ = progress.what;
    first_done_ = progress.done;
    begin_s_ = now_s;
  }
  last_done_ = progress.done;
  const double elapsed_s = now_s - begin_s_;
  rate_per_s_ =
      elapsed_s > kTooEarlyS ? static_cast<double>(progress.done - first_done_) / elapsed_s : 0.0;
  return begins;
}

ProgressDisplay::~ProgressDisplay() { end_bar(); }

void ProgressDisplay::end_bar() {
  if (bar_open_) std::fputc('\n', stderr);
  bar_open_ = false;
}

void ProgressDisplay::show(const Progress& progress) {
  if (style_ == ProgressStyle::kNone) return;
  const Clock::time_point now = Clock::now();
  if (rate_.update(progress, std::chrono::duration<double>(now.time_since_epoch()).count())) {
    end_bar();
    last_drawn_ = style_ == ProgressStyle::kLines ? now : Clock::time_point{};
  }
  const bool finished = progress.total > 0 && progress.done >= progress.total;
  const auto interval = style_ == ProgressStyle::kBar
                            ? std::chrono::duration_cast<Clock::duration>(kBarInterval)
                            : std::chrono::duration_cast<Clock::duration>(kLineInterval);
  if (now - last_drawn_ < interval && !finished) return;
  last_drawn_ = now;
  const std::string text = progress_text(progress, rate_.per_second());
  if (style_ == ProgressStyle::kLines) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const double share =
      progress.total > 0 ? static_cast<double>(progress.done) / static_cast<double>(progress.total)
                         : 0.0;
  std::fprintf(stderr, "\r%s %s\x1b[K", progress_bar(share, kBarWidth).c_str(), text.c_str());
  std::fflush(stderr);
  bar_open_ = true;
  if (finished) end_bar();
}

namespace {

std::string_view state_words(const pipeline::StepReport& report) {
  if (report.finished) return "done";
  switch (report.state) {
    case pipeline::StepState::kOutside:
      return "not part of this run";
    case pipeline::StepState::kDone:
      return "kept";
    case pipeline::StepState::kRun:
      return "to do";
    case pipeline::StepState::kChanged:
      return "to do again";
  }
  return "?";
}

}  // namespace

pipeline::StepFn step_lines(std::size_t num_steps, bool quiet, bool dry_run) {
  return [=](std::size_t index, const pipeline::StepReport& report) {
    using pipeline::StepState;
    const bool begins = !report.finished && !dry_run &&
                        (report.state == StepState::kRun || report.state == StepState::kChanged);
    if (quiet || begins || report.state == StepState::kOutside) return;
    fmt::print("[{:>2}/{}] {:<44} {}{}\n", index + 1, num_steps, report.step->name,
               state_words(report), report.note.empty() ? "" : ": " + report.note);
    std::fflush(stdout);
  };
}

}  // namespace charm::cli
