#pragma once

#include <cstddef>

#include "charm/pipeline/runner.h"

namespace charm::cli {

/// Prints a line to stdout for each step of a run when it finishes or is skipped; nothing when
/// `quiet`.
pipeline::StepFn step_lines(std::size_t num_steps, bool quiet, bool dry_run);

}  // namespace charm::cli
