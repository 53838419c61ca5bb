#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "charm/base/strings.h"
#include "charm/show/show_text.h"

namespace charm::show {
namespace {

constexpr std::string_view kEllipsis = "…", kReplacement = "\xef\xbf\xbd";

struct CodePoint {
  char32_t value = 0;
  std::size_t num_bytes = 1;
};

/// The first code point of a valid, non-empty text.
CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  char32_t value = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) value = (value << 6U) | (byte(i) & 0x3fU);
  return {value, length};
}

struct Range {
  char32_t first, last;
};

bool is_in(char32_t value, const auto& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [value](const Range& range) {
    return value >= range.first && value <= range.last;
  });
}

/// Wide characters by Unicode's EastAsianWidth.txt (W and F), in blocks.
constexpr std::array<Range, 10> kWide = {{{0x1100, 0x115f},
                                          {0x2e80, 0x303e},
                                          {0x3041, 0xa4cf},
                                          {0xa960, 0xa97f},
                                          {0xac00, 0xd7a3},
                                          {0xf900, 0xfaff},
                                          {0xfe30, 0xfe6f},
                                          {0xff00, 0xff60},
                                          {0x1f300, 0x1faff},
                                          {0x20000, 0x3fffd}}};
constexpr std::array<Range, 6> kCombining = {{{0x0300, 0x036f},
                                              {0x1ab0, 0x1aff},
                                              {0x200b, 0x200f},
                                              {0x20d0, 0x20ff},
                                              {0xfe00, 0xfe0f},
                                              {0xfe20, 0xfe2f}}};

std::size_t width_of(char32_t value) {
  return is_in(value, kCombining) ? 0 : is_in(value, kWide) ? 2 : 1;
}

/// Bytes of the longest prefix of at most `width` columns, at least one code point.
std::size_t prefix_of(std::string_view text, std::size_t width) {
  std::size_t bytes = 0, columns = 0;
  while (bytes < text.size()) {
    const CodePoint next = first_code_point(text.substr(bytes));
    columns += width_of(next.value);
    if (columns > width && bytes > 0) break;
    bytes += next.num_bytes;
  }
  return bytes;
}

/// Bytes of `text` that go on the next line.
std::size_t line_of(std::string_view text, std::size_t width) {
  const std::size_t bytes = prefix_of(text, width);
  if (bytes == text.size() || text[bytes] == ' ') return bytes;
  const std::size_t blank = text.substr(0, bytes).rfind(' ');
  const bool is_indent = text.find_first_not_of(' ') > blank;
  return blank == std::string_view::npos || is_indent ? bytes : blank;
}

/// Trailing blanks are dropped.
std::string_view trimmed(std::string_view line) {
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    columns += width_of(next.value);
    text.remove_prefix(next.num_bytes);
  }
  return columns;
}

std::string without_controls(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::optional<std::size_t> invalid = find_invalid_utf8(text);
    std::string_view part = text.substr(0, invalid.value_or(text.size()));
    text.remove_prefix(part.size());
    while (!part.empty()) {
      const CodePoint next = first_code_point(part);
      if (next.value == '\t') {
        clean += "  ";
      } else if (next.value == '\n' || next.value >= 0xa0 ||
                 (next.value >= 0x20 && next.value < 0x7f)) {
        clean += part.substr(0, next.num_bytes);
      } else if (next.value < 0x20 && next.value != '\r') {
        clean += {'\xe2', '\x90', static_cast<char>(0x80 + next.value)};
      } else if (next.value >= 0x7f) {
        clean += kReplacement;
      }
      part.remove_prefix(next.num_bytes);
    }
    if (!invalid) continue;
    clean += kReplacement;
    text.remove_prefix(1);
  }
  return clean;
}

std::vector<std::string> wrap_text(std::string_view text, std::size_t width,
                                   std::size_t max_lines) {
  std::string rest = without_controls(text);
  std::vector<std::string> lines;
  std::string_view view = rest;
  while (!view.empty()) {
    const std::size_t end = std::min(view.find('\n'), view.size());
    std::string_view paragraph = trimmed(view.substr(0, end));
    if (paragraph.empty()) {
      view.remove_prefix(std::min(end + 1, view.size()));
      continue;
    }
    const std::size_t bytes = line_of(paragraph, width);
    if (max_lines > 0 && lines.size() == max_lines) {
      const std::string missing =
          fmt::format(" {} ({} more characters)", kEllipsis, num_code_points(view));
      const std::size_t room = width - std::min(width, display_width(missing));
      std::string& last = lines.back();
      last = std::string(trimmed(std::string_view(last).substr(
          0, display_width(last) <= room ? last.size() : prefix_of(last, room))));
      last += missing;
      break;
    }
    lines.emplace_back(trimmed(paragraph.substr(0, bytes)));
    view.remove_prefix(bytes);
    // The blanks at which a line was broken; an indent after a line break stays.
    if (bytes < paragraph.size()) view.remove_prefix(view.find_first_not_of(' '));
  }
  return lines;
}

}  // namespace charm::show
