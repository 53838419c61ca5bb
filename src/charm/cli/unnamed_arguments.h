#pragma once

#include <set>
#include <span>
#include <string>

#include "charm/base/option_table.h"

namespace charm::cli {

/// The arguments without an option's name as they were most likely meant, by what lies at each
/// path: "--model rm --responses a.jsonl b.jsonl". Empty if one of them fits no option of the
/// command. Reads at most the first row of a file.
/// @param given  names of the options that the command line has already
std::string named_arguments(std::span<const std::string> arguments, const OptionTable& own,
                            std::set<std::string> given);

}  // namespace charm::cli
