#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "charm/records/arena.h"

namespace charm {
namespace {

// Length of the white-space character at `at`, as Python's \s matches it; 0: none.
std::size_t space_length(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<std::uint8_t>(text[at + i]) : std::uint8_t{0};
  };
  const std::uint8_t first = byte(0);
  if (first == ' ' || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F)) {
    return 1;
  }
  if (first == 0xC2 && (byte(1) == 0x85 || byte(1) == 0xA0)) return 2;
  if (first == 0xE1 && byte(1) == 0x9A && byte(2) == 0x80) return 3;  // U+1680
  if (first == 0xE3 && byte(1) == 0x80 && byte(2) == 0x80) return 3;  // U+3000
  if (first == 0xE2 && byte(1) == 0x81 && byte(2) == 0x9F) return 3;  // U+205F
  if (first == 0xE2 && byte(1) == 0x80) {
    const std::uint8_t last = byte(2);  // U+2000 .. U+200A, U+2028, U+2029, U+202F
    if ((last >= 0x80 && last <= 0x8A) || last == 0xA8 || last == 0xA9 || last == 0xAF) return 3;
  }
  return 0;
}

// The zeros of Unicode 15's decimal digits (category Nd), which come in runs of ten; as many
// scripts as Python 3.12's \d matches.
constexpr auto kZeros = std::to_array<std::uint32_t>(
    {0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,
     0x0C66,  0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,
     0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,
     0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
     0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
     0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8,
     0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0});

// Length of the decimal digit at `at`, as Python's \d matches it; 0: none. The text is valid UTF-8.
std::size_t digit_length(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto first = static_cast<std::uint8_t>(text[at]);
  if (first < 0x80) return first >= '0' && first <= '9' ? 1 : 0;
  if (first < 0xC0) return 0;
  const std::size_t length = first < 0xE0 ? 2 : (first < 0xF0 ? 3 : 4);
  if (at + length > text.size()) return 0;
  std::uint32_t code_point = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    code_point = code_point << 6 | (static_cast<std::uint8_t>(text[at + i]) & 0x3FU);
  }
  const auto* const after = std::upper_bound(kZeros.begin(), kZeros.end(), code_point);
  return code_point - *(after - 1) < 10 ? length : 0;  // kZeros starts with the ASCII zero
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (const std::size_t length = space_length(text, at)) at += length;
  return at;
}

// Counts matches at line starts; `match(at)` returns the match's end or 0. Matches do not overlap,
// as with re.findall.
template <typename Match>
double count_at_line_starts(std::string_view text, const Match& match) {
  double count = 0.0;
  for (std::size_t at = 0; at < text.size();) {
    const bool is_line_start = at == 0 || text[at - 1] == '\n';
    const std::size_t end = is_line_start ? match(at) : 0;
    count += end > 0 ? 1.0 : 0.0;
    at = end > 0 ? end : at + 1;
  }
  return count;
}

std::size_t match_header(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && text[end] == '#') ++end;
  const std::size_t depth = end - at;
  const std::size_t space = space_length(text, end);
  return depth >= 1 && depth <= 6 && space > 0 ? end + space : 0;
}

std::size_t match_numbered(std::string_view text, std::size_t at) {
  std::size_t end = skip_spaces(text, at);
  const std::size_t digits = end;
  while (const std::size_t length = digit_length(text, end)) end += length;
  if (end == digits || end >= text.size() || text[end] != '.') return 0;
  const std::size_t space = space_length(text, end + 1);
  return space > 0 ? end + 1 + space : 0;
}

std::size_t match_bullet(std::string_view text, std::size_t at) {
  const std::size_t end = skip_spaces(text, at);
  if (end >= text.size() || (text[end] != '-' && text[end] != '*' && text[end] != '+')) return 0;
  const std::size_t space = space_length(text, end + 1);
  return space > 0 ? end + 1 + space : 0;
}

// Spans between two doubled marks without the mark or a line break inside.
double count_bold(std::string_view text, char mark) {
  double count = 0.0;
  const auto is_double = [&](std::size_t at) {
    return at + 1 < text.size() && text[at] == mark && text[at + 1] == mark;
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 2;
    if (is_double(at)) {
      while (end < text.size() && text[end] != mark && text[end] != '\n') ++end;
    }
    const bool is_bold = is_double(at) && end > at + 2 && is_double(end);
    count += is_bold ? 1.0 : 0.0;
    at = is_bold ? end + 2 : at + 1;
  }
  return count;
}

// Contents of code fences without a backtick inside.
std::vector<std::string> fenced(std::string_view text) {
  constexpr std::string_view kFence = "```";
  std::vector<std::string> contents;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at, kFence.size()) != kFence) {
      ++at;
      continue;
    }
    const std::size_t first = at + kFence.size();
    const std::size_t end = text.find('`', first);
    if (end != std::string_view::npos && text.substr(end, kFence.size()) == kFence) {
      contents.emplace_back(text.substr(first, end - first));
      at = end + kFence.size();
    } else {
      ++at;
    }
  }
  return contents;
}

std::string without_code(std::string text) {
  for (const std::string& block : fenced(text)) {
    if (block.empty()) continue;
    for (std::size_t at = text.find(block); at != std::string::npos; at = text.find(block, at)) {
      text.erase(at, block.size());
    }
  }
  return text;
}

double num_characters(std::string_view text) {
  double count = 0.0;
  for (const char c : text) count += (static_cast<std::uint8_t>(c) & 0xC0) != 0x80 ? 1.0 : 0.0;
  return count;
}

}  // namespace

StyleCounts count_style(const std::string& text) {
  const std::string prose = without_code(text);
  const auto count = [&](std::size_t (*match)(std::string_view, std::size_t)) {
    return count_at_line_starts(prose, [&](std::size_t at) { return match(prose, at); });
  };
  return {.length = num_characters(text),
          .headers = count(match_header),
          .lists = count(match_numbered) + count(match_bullet),
          .bold = count_bold(prose, '*') + count_bold(prose, '_')};
}

std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control) {
  const auto relative = [&](double one, double other) {
    const double sum = one + other;
    const double divisor =
        control == StyleControl::kFastChat ? sum + 1.0 : (sum == 0.0 ? 1.0 : sum);
    return (one - other) / divisor;
  };
  return {relative(a.length, b.length), relative(a.headers, b.headers), relative(a.lists, b.lists),
          relative(a.bold, b.bold)};
}

}  // namespace charm
