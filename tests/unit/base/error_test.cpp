#include "charm/base/error.h"

#include <gtest/gtest.h>

#include "charm/base/check.h"

namespace charm {
namespace {

TEST(Error, CarriesKindExitCodeAndMessage) {
  const Error error(ErrorKind::kInput, "{}: expected {}, found {}", "a.jsonl:3", "a string", 7);
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_EQ(error.exit_code(), 3);
  EXPECT_EQ(error.message(), "a.jsonl:3: expected a string, found 7");
  EXPECT_STREQ(error.what(), error.message().c_str());
}

TEST(Error, ExitCodesAreTheContract) {
  EXPECT_EQ(Error(ErrorKind::kUsage, "x").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::kInput, "x").exit_code(), 3);
  EXPECT_EQ(Error(ErrorKind::kIo, "x").exit_code(), 4);
  EXPECT_EQ(Error(ErrorKind::kNetwork, "x").exit_code(), 5);
  EXPECT_EQ(Error(ErrorKind::kResource, "x").exit_code(), 6);
  EXPECT_EQ(Error(ErrorKind::kInternal, "x").exit_code(), 70);
}

TEST(Error, ContextIsPrependedAndKeepsTheKind) {
  const Error inner(ErrorKind::kIo, "disk full");
  const Error outer = inner.with_context("while writing {braces}");
  EXPECT_EQ(outer.message(), "while writing {braces}: disk full");
  EXPECT_EQ(outer.kind(), ErrorKind::kIo);
}

TEST(Check, ThrowsAnInternalErrorNamingTheCondition) {
  try {
    CHARM_CHECK(1 + 1 == 3, "sums are {}", "wrong");
    FAIL() << "the check passed";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInternal);
    EXPECT_NE(e.message().find("1 + 1 == 3"), std::string::npos);
    EXPECT_NE(e.message().find("sums are wrong"), std::string::npos);
  }
  EXPECT_NO_THROW(CHARM_CHECK(true, "fine"));
}

}  // namespace
}  // namespace charm
