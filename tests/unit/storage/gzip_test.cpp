#include <gtest/gtest.h>

#include "charm/base/random.h"
#include "charm/storage/byte_stream.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

TEST(Gzip, ReadsBackEqual) {
  const testing::TempFolder folder;
  RandomStream random(0, "gzip");
  std::string noise;
  for (int i = 0; i < 300'000; ++i) noise += static_cast<char>(random.below(256));
  for (const std::string& bytes :
       {std::string(), std::string("a"), std::string(1'000'000, 'x'), noise}) {
    const fs::path path = folder.file("bytes.gz", gzip_bytes(bytes, 9));
    EXPECT_EQ(ByteStream(path).rest(), bytes);
  }
  EXPECT_LT(gzip_bytes(std::string(1'000'000, 'x'), 9).size(), 2000u);
  EXPECT_EQ(gzip_bytes(noise, 9), gzip_bytes(noise, 9));
}

}  // namespace
}  // namespace charm::storage
