#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace charm::show {

/// Columns that a valid UTF-8 text takes on a terminal: 2 for East Asian wide characters and
/// emoji, 0 for combining ones.
std::size_t display_width(std::string_view text);

/// `text` without characters that control a terminal: tabs as blanks, other control characters by
/// their pictures (U+2400), carriage returns dropped; invalid UTF-8 as U+FFFD.
std::string without_controls(std::string_view text);

/// Lines of at most `width` columns, broken at blanks where possible; empty lines are dropped. Text
/// beyond `max_lines` lines (0: no limit) is cut and ends with an ellipsis and how much is missing.
std::vector<std::string> wrap_text(std::string_view text, std::size_t width, std::size_t max_lines);

/// `text` on one line of at most `width` columns, cut with an ellipsis.
std::string cut_text(std::string_view text, std::size_t width);

}  // namespace charm::show
