#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "charm/records/arena.h"

namespace charm {

/// How style features of two responses are compared.
enum class StyleControl {
  kNone,
  kFastChat,   ///< FastChat's compute_style_control: difference / (sum + 1)
  kArenaRank,  ///< arena-rank 0.1.1: difference / sum
};

inline constexpr std::size_t kNumStyles = 4;
inline constexpr std::array<std::string_view, kNumStyles> kStyleNames = {"length", "headers",
                                                                         "lists", "bold"};

/// (a - b) / (a + b + 1) of FastChat, (a - b) / (a + b, or 1 where that is 0) of arena-rank, in
/// the order of kStyleNames; each in [-1, 1] and antisymmetric.
std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control);

}  // namespace charm
