#include "charm/prepare/text_overlap.h"

#include <gtest/gtest.h>

#include "charm/base/random.h"
#include "charm/records/response.h"

namespace charm::prepare {
namespace {

Conversation prompt_of(const std::string& text) { return {{"user", text}}; }

TEST(NormalizedText, DropsCasePunctuationAndSpace) {
  EXPECT_EQ(normalized_text("  Hello,\n\tWORLD!! (2nd)  "), "hello world 2nd");
  EXPECT_EQ(normalized_text("Grüße, 東京"), "grüße 東京");
  EXPECT_EQ(normalized_text("..."), "");
  EXPECT_EQ(normalized_prompt({{"system", "S"}, {"user", "A."}, {"assistant", "B"}, {"user", "c"}}),
            "a b c");
}

TEST(Ngrams, CountAndShortTexts) {
  EXPECT_EQ(character_ngrams("abcdef").size(), 2u);
  EXPECT_EQ(character_ngrams("aaaaaaaa").size(), 1u);
  EXPECT_EQ(character_ngrams("ab").size(), 1u);
  EXPECT_EQ(character_ngrams("東京都庁前").size(), 1u);
  EXPECT_EQ(word_ngrams("a b c d e f g").size(), 0u);
  EXPECT_EQ(word_ngrams("a b c d e f g h i").size(), 2u);
  EXPECT_EQ(word_ngrams("東京都庁前駅です").size(), 1u);  // eight characters, no spaces
}

TEST(Jaccard, OfSets) {
  const std::vector<std::uint64_t> a = {1, 2, 3, 4}, b = {3, 4, 5};
  EXPECT_DOUBLE_EQ(jaccard(a, b), 0.4);
  EXPECT_DOUBLE_EQ(jaccard(a, a), 1.0);
  EXPECT_DOUBLE_EQ(jaccard(a, {}), 0.0);
}

TEST(NearDuplicates, KeepsTheFirstAndDifferentOnes) {
  const std::vector<Prompt> prompts = {
      {"0",
       prompt_of(
           "Write a short story about a dragon who is afraid of the dark and learns to be brave.")},
      {"1",
       prompt_of("write a short story about a dragon, who is afraid of the dark, and learns to be "
                 "brave")},  // spelling
      {"2",
       prompt_of("Write a short story about a dragon who is afraid of the dark and learns to be "
                 "very brave.")},
      {"3",
       prompt_of("Write a short story about a wizard who is afraid of heights and refuses to leave "
                 "his tower.")},
      {"4", prompt_of("What is 12 + 7?")},
      {"5", prompt_of("What is 13 + 7?")},
      {"6", prompt_of("Explain gravity.")},
      {"7", prompt_of("explain GRAVITY")}};
  EXPECT_EQ(find_near_duplicates(prompts, 0.8),
            (std::vector<bool>{false, true, true, false, false, false, false, true}));
  EXPECT_EQ(find_near_duplicates(prompts, 1.0),
            (std::vector<bool>{false, true, false, false, false, false, false, true}));
}

TEST(NearDuplicates, EqualsBruteForce) {
  // Random texts and modified copies, with all degrees of similarity.
  RandomStream random(3, "test");
  std::vector<Prompt> prompts;
  const auto word = [&] { return "w" + std::to_string(random.below(400)) + "x"; };
  for (int i = 0; i < 150; ++i) {
    std::vector<std::string> words(30);
    for (auto& w : words) w = word();
    for (int copy = 0; copy < 4; ++copy) {
      std::string text;
      for (const auto& w : words) text += w + " ";
      prompts.push_back({std::to_string(prompts.size()), prompt_of(text)});
      for (int change = 0; change <= copy; ++change) words[random.below(words.size())] = word();
    }
  }
  const double threshold = 0.7;
  std::vector<bool> expected(prompts.size(), false);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (std::size_t j = 0; j < i && !expected[i]; ++j) {
      expected[i] = !expected[j] &&
                    jaccard(character_ngrams(normalized_prompt(prompts[i].messages)),
                            character_ngrams(normalized_prompt(prompts[j].messages))) >= threshold;
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
      {"a", prompt_of("What is the capital of France?")},
      {"b",
       prompt_of("Explain in detail how a diesel engine works and why it is more efficient than a "
                 "petrol engine.")},
      {"c", {{"user", "First question about whales"}, {"assistant", "yes"}, {"user", "second"}}}};
  const BenchmarkIndex index(benchmark);
  const auto found = index.find(prompt_of("what is the CAPITAL of france"), 0.5);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->benchmark, 0u);
  EXPECT_EQ(found->share, 1.0);
  const auto inside = index.find(
      prompt_of("Please help me. Explain in detail how a diesel engine works and why it is "
                "more efficient than others. Thanks a lot to you for it."),
      0.5);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->benchmark, 1u);
  EXPECT_LT(inside->share, 1.0);
  EXPECT_TRUE(index.find(prompt_of("first question about whales"), 0.5));  // the first turn alone
  EXPECT_FALSE(index.find(prompt_of("What is the capital of Spain?"), 0.5));
  EXPECT_FALSE(
      index.find(prompt_of("Explain in detail how a steam engine works, and where it was used "
                           "in the nineteenth century."),
                 0.5));
  EXPECT_FALSE(index.find(prompt_of(""), 0.5));
}

}  // namespace
}  // namespace charm::prepare
