#pragma once

#include <array>
#include <string>
#include <string_view>

#include "charm/records/arena.h"

namespace charm::rate {

enum class StyleControl {
  kNone,
  kFastChat,   ///< compute_style_control: difference / (sum + 1); ridge on every parameter
  kArenaRank,  ///< difference / sum, equal weight per pair of models; ridge on the coefficients
};

inline constexpr std::size_t kNumStyles = 4;
inline constexpr std::array<std::string_view, kNumStyles> kStyleNames = {"length", "headers",
                                                                         "lists", "bold"};

/// (a - b) / (a + b + 1) of FastChat, (a - b) / (a + b, or 1 where that is 0) of arena-rank.
std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control);

}  // namespace charm::rate
