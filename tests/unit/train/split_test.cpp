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
    pairs.push_back({fmt::format("prompt-{}", i % num_prompts), {1, 2}, {1, 3}, 0.0f});
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

TEST(PairSampler, EveryEpochIsAPermutationOfItsOwn) {
  const auto pairs = pairs_of(10, 1);
  const auto sampler_of = [&](std::uint64_t seed) {
    return PairSampler(shuffled_units(pairs, Shuffle::kPairs), seed);
  };
  PairSampler sampler = sampler_of(5);
  const auto first = sampler.take(0, 10), second = sampler.take(10, 20);
  EXPECT_THAT(first, testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(first));
  EXPECT_NE(first, second);
  const auto across = sampler_of(5).take(7, 13);
  EXPECT_TRUE(std::equal(across.begin(), across.begin() + 3, first.begin() + 7));
  EXPECT_TRUE(std::equal(across.begin() + 3, across.end(), second.begin()));
  EXPECT_NE(sampler_of(6).take(0, 10), first);
}

TEST(PairSampler, PromptsStayTogetherWhereAsked) {
  const auto pairs = pairs_of(8, 3);  // pair i belongs to prompt i % 8
  PairSampler sampler(shuffled_units(pairs, Shuffle::kPrompts), 5);
  const auto first = sampler.take(0, 24), second = sampler.take(24, 48);
  std::set<std::size_t> seen;
  for (std::size_t i = 0; i < 24; i += 3) {
    const std::size_t prompt = first[i] % 8;
    EXPECT_TRUE(seen.insert(prompt).second);
    EXPECT_THAT(std::vector<std::size_t>(first.begin() + static_cast<std::ptrdiff_t>(i),
                                         first.begin() + static_cast<std::ptrdiff_t>(i) + 3),
                testing::ElementsAre(prompt, prompt + 8, prompt + 16));
  }
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace charm::train
