#pragma once

#include <cstdint>
#include <string>

#include "charm/show/show_stage.h"

namespace charm::show {

struct TextLayout {
  std::int64_t width = 100;  ///< columns of the terminal
  std::int64_t lines = 6;    ///< of each text; 0: all
};

/// Win rates, offset and number of flips: a few lines.
std::string summary_text(const ShowResult& result, const TextLayout& layout);

/// The comparisons one after the other: prompt, both texts, scores, winner before and after.
std::string comparisons_text(const ShowResult& result, const TextLayout& layout);

}  // namespace charm::show
