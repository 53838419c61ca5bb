#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm {

/// Up to `count` candidates, nearest first, by edit distance without regard to case; equal
/// distances keep the input order. For messages such as "no rating for 'gpt-4o'; nearest names:
/// ...".
std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates,
                                       std::size_t count = 3);

}  // namespace charm
