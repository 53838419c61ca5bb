#include "charm/demo/tiny_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "charm/demo/language.h"
#include "charm/engine/model_config.h"
#include "charm/text/conversation_encoder.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::demo {
namespace {

TEST(TinyModel, ItsTokenizerKnowsEveryWordOfTheWorld) {
  const testing::TempFolder folder;
  write_tiny_model(folder.path(), vocabulary(), {});
  const text::ConversationEncoder encoder(folder.path(), {});
  const auto unknown = encoder.tokenizer().token_to_id("<unk>");
  ASSERT_TRUE(unknown.has_value());
  RandomStream random(1, "test");
  for (int i = 0; i < 50; ++i) {
    const Question question = draw_question(random);
    for (const Style style : {Style::kPlain, Style::kCheerful, Style::kShowy}) {
      const auto encoded = encoder.encode({{"user", question_text(question)}},
                                          answer_text(draw_answer(question, 0.5, random), style));
      EXPECT_EQ(std::count(encoded.ids.begin(), encoded.ids.end(), *unknown), 0);
      EXPECT_EQ(std::count(encoded.ids.begin(), encoded.ids.end(),
                           *encoder.tokenizer().token_to_id("<s>")),
                1);
      EXPECT_GT(encoded.prompt_length, 0);
    }
  }
}

TEST(TinyModel, SameSeedSameBytes) {
  const testing::TempFolder folder;
  const std::vector<std::string> words = {"a", "b"};
  write_tiny_model(folder / "1", words, {.reward_head = true, .seed = 5});
  write_tiny_model(folder / "2", words, {.reward_head = true, .seed = 5});
  write_tiny_model(folder / "3", words, {.reward_head = true, .seed = 6});
  EXPECT_EQ(read_file(folder / "1/model.safetensors"), read_file(folder / "2/model.safetensors"));
  EXPECT_NE(read_file(folder / "1/model.safetensors"), read_file(folder / "3/model.safetensors"));
  EXPECT_EQ(engine::load_model_config(folder / "1").head, engine::HeadKind::kLinear);
}

}  // namespace
}  // namespace charm::demo
