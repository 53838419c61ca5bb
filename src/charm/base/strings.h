#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm {

/// Maps A-Z to a-z; other bytes are unchanged, independent of the locale.
std::string lower_ascii(std::string_view text);

/// Byte offset of the first invalid UTF-8 sequence (overlong forms, surrogates and values above
/// U+10FFFF are invalid too); empty if the whole text is valid.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// Number of code points of a valid UTF-8 text.
std::size_t num_code_points(std::string_view text);

/// Up to `count` candidates, nearest first, by case-insensitive edit distance; equal distances keep
/// the input order. For messages such as "no rating for 'gpt-4o'; nearest names: ...".
std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates,
                                       std::size_t count = 3);

/// `word` as a shell reads it: in single quotes where it needs any.
std::string shell_word(std::string_view word);

/// Lines of aligned columns, separated by two spaces: the first column left-aligned, the others
/// right-aligned. Widths count code points. Rows may have different lengths; every line ends with
/// '\n'.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// The bytes as base64 (RFC 4648) with padding, on one line.
std::string base64_of(std::string_view bytes);

/// One record of a CSV file by RFC 4180, ending with "\r\n": fields with a comma, a quote or a line
/// break are quoted, quotes within them doubled.
std::string csv_record(std::span<const std::string> fields);

}  // namespace charm
