#include "charm/storage/joined_prompts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/storage/record_reader.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

class JoinedPromptsTest : public ::testing::Test {
 protected:
  /// Scores of 10 prompts; the prompt of row i is that of i + shift where `moves` says so.
  fs::path scores(const std::string& policy, int shift, int num_moved, bool with_ids = true) {
    std::string text;
    for (int i = 0; i < 10; ++i) {
      const int prompt = i < num_moved ? (i + shift) % 10 : i;
      const std::string id = with_ids ? fmt::format(R"("prompt_id":{},)", i) : "";
      text += fmt::format(R"({{{}"prompt":"Question {}","response":"r","policy":"{}","score":{}}})",
                          id, prompt, policy, i);
      text += '\n';
    }
    return folder_.file(policy + ".jsonl", text);
  }
  static void read(const std::vector<fs::path>& files) { read_score_files(files, {}); }

  const testing::TempFolder folder_;
};

TEST_F(JoinedPromptsTest, IdsOfOtherPromptsAreAnError) {
  const fs::path one = scores("one", 0, 0);
  EXPECT_NO_THROW(read({one, scores("two", 0, 0)}));
  EXPECT_ERROR(kInput,
               "10 of 10 common prompt_ids stand for different prompts, the first is '0' of",
               read({one, scores("three", 1, 10)}));
  EXPECT_NO_THROW(read({one, scores("four", 1, 4)}));  // a warning
  EXPECT_NO_THROW(read({scores("five", 0, 0, /*with_ids=*/false), scores("six", 1, 10, false)}));
}

TEST_F(JoinedPromptsTest, FilesWithoutPromptsAreNotCompared) {
  const fs::path bare = folder_.file("bare.jsonl", R"({"prompt_id":0,"policy":"bare","score":1})"
                                                   "\n");
  EXPECT_NO_THROW(read({scores("one", 1, 10), bare}));
}

}  // namespace
}  // namespace charm::storage
