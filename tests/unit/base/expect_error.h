#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/base/temp_folder.h"

namespace charm::testing {

/// Runs `action`, which must throw a charm::Error of this kind whose message contains `part`.
template <typename Action>
void expect_error(ErrorKind kind, std::string_view part, const Action& action) {
  const Error error = error_of(action);
  EXPECT_EQ(error.kind(), kind) << error.message();
  EXPECT_NE(error.message().find(part), std::string::npos)
      << "expected: " << part << "\nfound: " << error.message();
}

}  // namespace charm::testing
