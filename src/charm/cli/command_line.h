#pragma once

#include <string>
#include <vector>

#include "charm/cli/command.h"

namespace charm::cli {

/// Parses `arguments` (without program and command name) into the fields bound to `own` and
/// `common`. Throws kUsage.
/// @return false if `--help` was given and the command must not run
bool parse_command_line(const Command& command, const pipeline::OptionTable& own,
                        const pipeline::OptionTable& common,
                        const std::vector<std::string>& arguments);

/// Runs `charm <arguments...>`; prints help, version and results to stdout. Throws charm::Error.
void run_program(const std::vector<std::string>& arguments);

}  // namespace charm::cli
