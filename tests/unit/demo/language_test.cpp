#include "charm/demo/language.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace charm::demo {
namespace {

using testing::HasSubstr;

TEST(Language, QualityIsTheShareOfRightItems) {
  RandomStream random(1, "test");
  const Question question{.category = 0, .count = 8};
  EXPECT_DOUBLE_EQ(draw_answer(question, 1.0, random).quality, 1.0);
  EXPECT_DOUBLE_EQ(draw_answer(question, 0.0, random).quality, 0.0);
  double sum = 0.0;
  for (int i = 0; i < 500; ++i) sum += draw_answer(question, 0.6, random).quality;
  EXPECT_NEAR(sum / 500, 0.6, 0.03);
}

TEST(Language, RightItemsDoNotRepeat) {
  RandomStream random(2, "test");
  const Answer answer = draw_answer({.category = 3, .count = 8}, 1.0, random);
  EXPECT_EQ(std::set<std::string>(answer.items.begin(), answer.items.end()).size(), 8u);
}

TEST(Language, StyleChangesTheDressNotTheItems) {
  RandomStream random(3, "test");
  const Answer answer = draw_answer({.category = 1, .count = 4}, 0.7, random);
  const std::string plain = answer_text(answer, Style::kPlain),
                    showy = answer_text(answer, Style::kShowy);
  for (const std::string& item : answer.items) {
    EXPECT_THAT(plain, HasSubstr(item));
    EXPECT_THAT(showy, HasSubstr(item));
  }
  EXPECT_THAT(showy, HasSubstr("Wow!"));
  EXPECT_EQ(plain.find('!'), std::string::npos);
}

TEST(Language, TheVocabularyHoldsEachWordOnce) {
  const std::vector<std::string> words = vocabulary();
  EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
}

}  // namespace
}  // namespace charm::demo
