#include "charm/base/hashing.h"

#include <gtest/gtest.h>

#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

// Test vectors of FIPS 180-4 (NIST's examples for SHA-256).
TEST(Sha256, KnownValues) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, AFileHashesAsItsContent) {
  const testing::TempFolder folder;
  const std::string content(300000, 'z');
  EXPECT_EQ(sha256_file(folder.file("data", content)), sha256_hex(content));
  EXPECT_EQ(testing::error_of([&] { sha256_file(folder / "absent"); }).kind(), ErrorKind::kIo);
}

}  // namespace
}  // namespace charm
