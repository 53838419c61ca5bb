#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

/// Throws kUsage unless the extension is .jsonl or .csv.
void require_known_format(const fs::path& output);

/// The comparisons as JSON lines or CSV, by the extension of `output`.
std::string output_text(const ShowResult& result, const fs::path& output);

/// The name of the winner, or "tie".
const std::string& winner_name(const ShowResult& result, Winner winner);

/// Columns that a valid UTF-8 text takes on a terminal: 2 for East Asian wide characters and
/// emoji, 0 for combining ones.
std::size_t display_width(std::string_view text);

/// `text` without characters that control a terminal: tabs as blanks, other control characters by
/// their pictures (U+2400), carriage returns dropped; invalid UTF-8 as U+FFFD.
std::string without_controls(std::string_view text);

/// Lines of at most `width` columns, broken at blanks where possible; empty lines are dropped. Text
/// beyond `max_lines` lines (0: no limit) is cut and ends with an ellipsis and how much is missing.
std::vector<std::string> wrap_text(std::string_view text, std::size_t width, std::size_t max_lines);

}  // namespace charm::show
