#pragma once

#include <span>
#include <string>
#include <string_view>

namespace charm {

/// The one of `known` that somebody means by `name`: another tool's name for the same thing
/// ("lr": "learning-rate"), or else the nearest by spelling; empty if there is none.
std::string meant_option(std::string_view name, std::span<const std::string> known);

}  // namespace charm
