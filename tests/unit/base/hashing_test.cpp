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

TEST(Hashing, GitBlobHashesEqualGit) {
  const testing::TempFolder folder;
  // git hash-object of an empty file, and of "hello\n".
  EXPECT_EQ(git_blob_sha1(folder.file("empty", "")), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(git_blob_sha1(folder.file("hello", "hello\n")),
            "ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace charm
