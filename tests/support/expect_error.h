#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "charm/base/error.h"

/// `EXPECT_ERROR(kUsage, "--mode", parse_mode("x"))`: the statement throws a charm::Error of that
/// kind whose message contains that part. Accepts further output with `<<`.
#define EXPECT_ERROR(kind, part, ...) \
  EXPECT_TRUE(                        \
      ::charm::test::throws_error(::charm::ErrorKind::kind, part, [&] { (void)(__VA_ARGS__); }))

namespace charm::test {

/// The same as a predicate, for kinds that are not literals.
template <typename Action>
::testing::AssertionResult throws_error(ErrorKind kind, std::string_view part,
                                        const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.kind() == kind && error.message().find(part) != std::string::npos)
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "expected an error of kind " << error_kind_name(kind) << " with '" << part
           << "', found one of kind " << error_kind_name(error.kind()) << ": " << error.message();
  }
  return ::testing::AssertionFailure() << "expected an error of kind " << error_kind_name(kind)
                                       << " with '" << part << "', but nothing was thrown";
}

}  // namespace charm::test
