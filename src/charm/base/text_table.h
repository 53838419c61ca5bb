#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace charm {

/// Lines of aligned columns, two blanks apart: the first column to the left, the others to the
/// right. Widths count code points. Rows may be shorter than others; every line ends with '\n'.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// Code points of a valid UTF-8 text.
std::size_t num_code_points(std::string_view text);

}  // namespace charm
