#include "charm/train/split.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace charm::train {
namespace {

std::vector<EncodedPair> pairs_of(std::size_t num_prompts, std::size_t pairs_per_prompt) {
  std::vector<EncodedPair> pairs;
  for (std::size_t i = 0; i < num_prompts * pairs_per_prompt; ++i) {
    pairs.push_back(make_pair(fmt::format("prompt-{}", i % num_prompts), {1, 2}, {1, 3}, 0.0f));
  }
  return pairs;
}

TEST(SplitByPrompt, NoPromptIsOnBothSides) {
  const auto pairs = pairs_of(40, 3);
  const Split split = split_by_prompt(pairs, 0.1, 7);
  EXPECT_EQ(split.held_out.size(), 12U);
  EXPECT_EQ(split.train.size(), 108U);
  EXPECT_TRUE(std::ranges::is_sorted(split.train));
  std::set<std::string> held_out;
  for (const std::size_t i : split.held_out) held_out.insert(pairs[i].prompt_id);
  EXPECT_EQ(held_out.size(), 4U);
  for (const std::size_t i : split.train) EXPECT_FALSE(held_out.contains(pairs[i].prompt_id));
}

TEST(SplitByPrompt, DependsOnSeedAndPromptsOnly) {
  auto pairs = pairs_of(40, 1);
  const auto prompts = [&](std::uint64_t seed) {
    std::set<std::string> held_out;
    for (const std::size_t i : split_by_prompt(pairs, 0.2, seed).held_out)
      held_out.insert(pairs[i].prompt_id);
    return held_out;
  };
  const auto first = prompts(1);
  EXPECT_NE(first, prompts(2));
  std::ranges::reverse(pairs);
  EXPECT_EQ(first, prompts(1));
}

TEST(SplitByPrompt, HoldsOutAtLeastOneAndNeverAll) {
  EXPECT_EQ(split_by_prompt(pairs_of(3, 1), 0.01, 1).held_out.size(), 1U);
  EXPECT_EQ(split_by_prompt(pairs_of(3, 1), 0.0, 1).held_out.size(), 0U);
  EXPECT_EQ(split_by_prompt(pairs_of(1, 4), 0.9, 1).train.size(), 4U);
}

TEST(PairOrder, EveryEpochIsAPermutationOfItsOwn) {
  PairOrder order(10, 5);
  const auto first = order.take(0, 10), second = order.take(10, 20);
  EXPECT_THAT(first, testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(first));
  EXPECT_NE(first, second);
  const auto across = PairOrder(10, 5).take(7, 13);
  EXPECT_TRUE(std::equal(across.begin(), across.begin() + 3, first.begin() + 7));
  EXPECT_TRUE(std::equal(across.begin() + 3, across.end(), second.begin()));
  EXPECT_NE(PairOrder(10, 6).take(0, 10), first);
}

}  // namespace
}  // namespace charm::train
