#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "charm/cli/command.h"

namespace charm::cli {

/// Parses `arguments` (without program and command name) into the fields bound to `own` and
/// `common`. Throws kUsage.
/// @return false if `--help` was given and the command must not run
bool parse_command_line(const Command& command, const OptionTable& own, const OptionTable& common,
                        const std::vector<std::string>& arguments);

/// Runs `charm <arguments...>`; prints help, version and results to stdout. Throws charm::Error.
void run_program(const std::vector<std::string>& arguments);

/// Runs `charm <arguments...>`, a command, without output and with its progress reported to
/// `progress` alone. Throws charm::Error.
void run_quietly(const std::vector<std::string>& arguments, const ProgressFn& progress);

/// `charm --help`.
std::string program_help(const std::vector<std::unique_ptr<Command>>& commands);

/// `charm <command> --help`.
std::string command_help(const Command& command, const OptionTable& own, const OptionTable& common);

/// docs/cli.md: the help of all commands as Markdown (`charm --help-all`).
std::string documentation();

/// `text` in lines of at most `width` characters, each starting with `indent` spaces; explicit
/// newlines are kept.
std::string wrap(std::string_view text, std::size_t indent, std::size_t width);

/// A script that completes commands, options, their values and files: `charm --completion
/// bash|zsh|fish`. Throws kUsage for another shell.
std::string completion_script(const std::vector<std::unique_ptr<Command>>& commands,
                              std::string_view shell);

/// A man page in roff: `charm --man` (charm.1) or `charm --man COMMAND` (charm-COMMAND.1). Throws
/// kUsage for an unknown command.
std::string man_page(const std::vector<std::unique_ptr<Command>>& commands,
                     std::string_view command);

}  // namespace charm::cli
