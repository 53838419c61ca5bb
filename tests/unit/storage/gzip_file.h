#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <string_view>

namespace charm::testing {

/// Appends one gzip member.
inline void append_gzip(const std::filesystem::path& path, std::string_view content) {
  const gzFile file = ::gzopen(path.c_str(), "ab");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(::gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
            static_cast<int>(content.size()));
  ASSERT_EQ(::gzclose(file), Z_OK);
}

}  // namespace charm::testing
