#include "charm/cli/step_lines.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace charm::cli {
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
    fmt::print("[{:>2}/{}] {:<44} {}\n", index + 1, num_steps, report.step->name,
               state_words(report));
    std::fflush(stdout);
  };
}

}  // namespace charm::cli
