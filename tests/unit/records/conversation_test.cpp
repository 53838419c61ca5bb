#include "charm/records/conversation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "tests/support/source_dir.h"

namespace charm {
namespace {

// The expected values are Python's: json.dumps(..., ensure_ascii=False, separators=(",", ":")) and
// hashlib.
TEST(PromptId, EqualsPython) {
  const std::string text =
      read_file(charm::test::kSourceDir + std::string("/tests/data/storage/prompt_ids.json"));
  const nlohmann::json cases = nlohmann::json::parse(text);
  ASSERT_EQ(cases.size(), 2u);
  for (const nlohmann::json& expected : cases) {
    Conversation prompt;
    for (const nlohmann::json& message : expected["prompt"])
      prompt.push_back({message["role"], message["content"]});
    EXPECT_EQ(conversation_json(prompt), expected["json"].get<std::string>());
    EXPECT_EQ(prompt_id_of(prompt), expected["prompt_id"].get<std::string>());
  }
}

TEST(PromptId, DependsOnRolesTurnsAndEveryByte) {
  const Conversation base = {{"user", "Hi"}};
  EXPECT_EQ(prompt_id_of(base).size(), 16u);
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"system", "Hi"}}));
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"user", "Hi "}}));
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"user", "H"}, {"user", "i"}}));
}

}  // namespace
}  // namespace charm
