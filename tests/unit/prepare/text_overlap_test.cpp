#include "charm/prepare/text_overlap.h"

#include <gtest/gtest.h>

#include "charm/base/random.h"

namespace charm::prepare {
namespace {

Conversation asks(const std::string& text) { return {{"user", text}}; }

TEST(NormalText, DropsCasePunctuationAndBlanks) {
  EXPECT_EQ(normal_text("  Hello,\n\tWORLD!! (2nd)  "), "hello world 2nd");
  EXPECT_EQ(normal_text("Grüße, 東京"), "grüße 東京");
  EXPECT_EQ(normal_text("..."), "");
  EXPECT_EQ(normal_prompt({{"system", "S"}, {"user", "A."}, {"assistant", "B"}, {"user", "c"}}),
            "a b c");
}

TEST(Pieces, CountAndShortTexts) {
  EXPECT_EQ(character_pieces("abcdef").size(), 2u);
  EXPECT_EQ(character_pieces("aaaaaaaa").size(), 1u);
  EXPECT_EQ(character_pieces("ab").size(), 1u);
  EXPECT_EQ(character_pieces("東京都庁前").size(), 1u);
  EXPECT_EQ(word_runs("a b c d e f g").size(), 0u);
  EXPECT_EQ(word_runs("a b c d e f g h i").size(), 2u);
  EXPECT_EQ(word_runs("東京都庁前駅です").size(), 1u);  // eight characters, no blanks
}

TEST(Jaccard, OfSets) {
  const std::vector<std::uint64_t> a = {1, 2, 3, 4}, b = {3, 4, 5};
  EXPECT_DOUBLE_EQ(jaccard(a, b), 0.4);
  EXPECT_DOUBLE_EQ(jaccard(a, a), 1.0);
  EXPECT_DOUBLE_EQ(jaccard(a, {}), 0.0);
}

TEST(NearDuplicates, KeepsTheFirstAndWhatDiffers) {
  const std::vector<Prompt> prompts = {
      {"0",
       asks(
           "Write a short story about a dragon who is afraid of the dark and learns to be brave.")},
      {"1", asks("write a short story about a dragon, who is afraid of the dark, and learns to be "
                 "brave")},  // spelling
      {"2", asks("Write a short story about a dragon who is afraid of the dark and learns to be "
                 "very brave.")},
      {"3", asks("Write a short story about a wizard who is afraid of heights and refuses to leave "
                 "his tower.")},
      {"4", asks("What is 12 + 7?")},
      {"5", asks("What is 13 + 7?")},
      {"6", asks("Explain gravity.")},
      {"7", asks("explain GRAVITY")}};
  EXPECT_EQ(find_near_duplicates(prompts, 0.8),
            (std::vector<bool>{false, true, true, false, false, false, false, true}));
  EXPECT_EQ(find_near_duplicates(prompts, 1.0),
            (std::vector<bool>{false, true, false, false, false, false, false, true}));
}

TEST(NearDuplicates, FindsWhatComparingAllPairsFinds) {
  // Random texts of a few words, many of them changed copies: every similarity occurs.
  RandomStream random(3, "test");
  std::vector<Prompt> prompts;
  const auto word = [&] { return "w" + std::to_string(random.below(400)) + "x"; };
  for (int i = 0; i < 150; ++i) {
    std::vector<std::string> words(30);
    for (auto& w : words) w = word();
    for (int copy = 0; copy < 4; ++copy) {
      std::string text;
      for (const auto& w : words) text += w + " ";
      prompts.push_back({std::to_string(prompts.size()), asks(text)});
      for (int change = 0; change <= copy; ++change) words[random.below(words.size())] = word();
    }
  }
  const double threshold = 0.7;
  std::vector<bool> expected(prompts.size(), false);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (std::size_t j = 0; j < i && !expected[i]; ++j) {
      expected[i] = !expected[j] &&
                    jaccard(character_pieces(normal_prompt(prompts[i].messages)),
                            character_pieces(normal_prompt(prompts[j].messages))) >= threshold;
    }
  }
  const std::vector<bool> found = find_near_duplicates(prompts, threshold);
  int missed = 0, num_duplicates = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    num_duplicates += expected[i] ? 1 : 0;
    missed += expected[i] != found[i] ? 1 : 0;
  }
  EXPECT_GT(num_duplicates, 100);
  EXPECT_LE(missed, 3);  // the signature may miss one in a hundred at 0.7
}

TEST(BenchmarkIndex, FindsEqualAndOverlappingPrompts) {
  const std::vector<Prompt> benchmark = {
      {"a", asks("What is the capital of France?")},
      {"b", asks("Explain in detail how a diesel engine works and why it is more efficient than a "
                 "petrol engine.")},
      {"c", {{"user", "First question about whales"}, {"assistant", "yes"}, {"user", "second"}}}};
  const BenchmarkIndex index(benchmark);
  const auto found = index.find(asks("what is the CAPITAL of france"), 0.5);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->benchmark, 0u);
  EXPECT_EQ(found->share, 1.0);
  const auto inside =
      index.find(asks("Please help me. Explain in detail how a diesel engine works and why it is "
                      "more efficient than others. Thanks a lot to you for it."),
                 0.5);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->benchmark, 1u);
  EXPECT_LT(inside->share, 1.0);
  EXPECT_TRUE(index.find(asks("first question about whales"), 0.5));  // the first turn alone
  EXPECT_FALSE(index.find(asks("What is the capital of Spain?"), 0.5));
  EXPECT_FALSE(index.find(asks("Explain in detail how a steam engine works, and where it was used "
                               "in the nineteenth century."),
                          0.5));
  EXPECT_FALSE(index.find(asks(""), 0.5));
}

}  // namespace
}  // namespace charm::prepare
