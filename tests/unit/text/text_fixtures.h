#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::text {

inline const fs::path kTestData = fs::path(CHARM_SOURCE_DIR) / "tests/data";
inline const fs::path kSharedData = fs::path(CHARM_SOURCE_DIR) / "../shared/data";

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "charm_text_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw Error(ErrorKind::kIo, "cannot make a temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }
  void write(const char* name, std::string_view content) const {
    write_file(path_ / name, content);
  }

 private:
  fs::path path_;
};

/// A model folder with one of our tokenizers; files are written over it.
class ModelFolder : public TemporaryFolder {
 public:
  explicit ModelFolder(const char* tokenizer) {
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
      write(file, read_file(kTestData / "tokenizers" / tokenizer / file));
    }
  }
};

/// Runs `action` and checks the kind and the message of the charm::Error it must throw.
template <typename Action, typename Matcher>
void expect_error(ErrorKind kind, Matcher message, Action action) {
  try {
    action();
    FAIL() << "no error was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_THAT(e.message(), message);
  }
}

}  // namespace charm::text
