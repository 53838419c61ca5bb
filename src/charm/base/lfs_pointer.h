#pragma once

#include <string_view>

namespace charm {

/// Throws kInput if a file that begins with `head` is a pointer of Git LFS instead of the data.
void refuse_lfs_pointer(std::string_view head, std::string_view file);

}  // namespace charm
