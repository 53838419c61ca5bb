#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::text {

inline const fs::path kTestData = fs::path(charm::test::kSourceDir) / "tests/data";
inline const fs::path kSharedData = fs::path(charm::test::kSourceDir) / "../shared/data";

/// A model folder with one of our tokenizers; `files` are written over it.
class ModelFolder : public testing::TempFolder {
 public:
  explicit ModelFolder(const char* tokenizer) {
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      file(name, read_file(kTestData / "tokenizers" / tokenizer / name));
    }
  }
};

/// Runs `action` and checks the kind and the message of the charm::Error it must throw.
template <typename Action, typename Matcher>
void expect_error(ErrorKind kind, Matcher message, Action action) {
  const Error error = testing::error_of(action);
  EXPECT_EQ(error.kind(), kind) << error.what();
  EXPECT_THAT(error.message(), message);
}

}  // namespace charm::text
