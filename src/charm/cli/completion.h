#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "charm/cli/command.h"

namespace charm::cli {

/// A script that completes commands, options, their values and files: `charm --completion
/// bash|zsh|fish`. Throws kUsage for another shell.
std::string completion_script(const std::vector<std::unique_ptr<Command>>& commands,
                              std::string_view shell);

/// A man page in roff: `charm --man` (charm.1) or `charm --man COMMAND` (charm-COMMAND.1). Throws
/// kUsage for an unknown command.
std::string man_page(const std::vector<std::unique_ptr<Command>>& commands,
                     std::string_view command);

}  // namespace charm::cli
