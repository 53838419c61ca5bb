#include "charm/engine/token_batch.h"

#include <gtest/gtest.h>

namespace charm::engine {
namespace {

PooledRow row_of(std::vector<std::int32_t> prompt, std::vector<std::int32_t> response) {
  PooledRow row{prompt, static_cast<std::int64_t>(prompt.size())};
  row.ids.insert(row.ids.end(), response.begin(), response.end());
  return row;
}

TEST(GroupByPrompt, EqualPromptsShareAGroupInOrderOfTheFirstRow) {
  const auto groups = group_by_prompt({{10, row_of({1, 2}, {5})},
                                       {11, row_of({3}, {6})},
                                       {12, row_of({1, 2}, {7, 8})},
                                       {13, row_of({}, {1, 2})}});
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].rows, (std::vector<std::size_t>{10, 12}));
  EXPECT_EQ(groups[0].responses[1], (std::vector<std::int32_t>{7, 8}));
  EXPECT_EQ(groups[1].rows, (std::vector<std::size_t>{11}));
  EXPECT_TRUE(groups[2].prompt_ids.empty());
  EXPECT_EQ(groups[0].num_tokens(), 5);
}

TEST(GroupByPrompt, WithoutSharingEachRowIsAGroupThatCountsItsPrompt) {
  const auto groups = group_by_prompt({{10, row_of({1, 2}, {5})}, {11, row_of({1, 2}, {6, 7})}},
                                      /*shares_prompts=*/false);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[1].rows, (std::vector<std::size_t>{11}));
  EXPECT_EQ(groups[1].prompt_ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(groups[0].num_tokens() + groups[1].num_tokens(), 7);
  EXPECT_EQ(plan_batches(groups, /*budget_tokens=*/4).size(), 2u);
}

TEST(PlanBatches, WholeGroupsFillTheBudget) {
  std::vector<PromptGroup> groups;
  for (std::size_t i = 0; i < 5; ++i)
    groups.push_back({{1, 2, 3}, {{4}, {5}}, {2 * i, 2 * i + 1}});  // 5 tokens each
  const auto batches = plan_batches(groups, /*budget_tokens=*/11);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0].size(), 2u);
  EXPECT_EQ(batches[2].size(), 1u);
}

TEST(PlanBatches, AGroupAboveTheBudgetIsCutAndCountsItsPromptOnce) {
  const PromptGroup group{{1, 2, 3, 4},
                          {{5, 5, 5}, {6, 6, 6}, {7, 7, 7}, {8, 8, 8}, {9, 9, 9}, {10}},
                          {0, 1, 2, 3, 4, 5}};
  const PromptGroup small{{1}, {{2}}, {6}};
  const auto batches = plan_batches({small, group, small}, /*budget_tokens=*/10);
  ASSERT_EQ(batches.size(), 4u);  // the prompt with two responses; the other responses, reusing the
                                  // prompt's KV; the small groups
  EXPECT_EQ(batches[1].size(), 1u);
  EXPECT_EQ(batches[1][0].rows, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(batches[1][0].continues);
  EXPECT_EQ(batches[2][0].prompt_ids, group.prompt_ids);
  EXPECT_EQ(batches[2][0].rows, (std::vector<std::size_t>{2, 3, 4, 5}));
  EXPECT_FALSE(batches[2][0].continues);
  EXPECT_TRUE(pack(batches[1]).last_prompt_continues);
  EXPECT_FALSE(pack(batches[2]).last_prompt_continues);
}

TEST(PlanBatches, APromptAboveTheBudgetTakesOneResponseAlong) {
  const auto batches = plan_batches(
      {{std::vector<std::int32_t>(50, 1), {{2}, {3}, {4}}, {0, 1, 2}}}, /*budget_tokens=*/2);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0][0].rows, (std::vector<std::size_t>{0}));
  EXPECT_EQ(batches[1][0].rows, (std::vector<std::size_t>{1, 2}));
}

TEST(PlanBatches, ASequenceAboveTheBudgetIsABatchOfItsOwn) {
  const auto batches =
      plan_batches({{{1}, {std::vector<std::int32_t>(50, 2)}, {0}}, {{1}, {{3}}, {1}}}, 10);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0][0].num_tokens(), 51);
}

TEST(Pack, PositionsContinueAfterThePromptForEveryResponse) {
  const PackedBatch batch = pack({{{1, 2}, {{5, 6}, {7}}, {4, 9}}, {{}, {{8}}, {2}}});
  EXPECT_EQ(batch.ids, (std::vector<std::int32_t>{1, 2, 5, 6, 7, 8}));
  EXPECT_EQ(batch.positions, (std::vector<std::int32_t>{0, 1, 2, 3, 2, 0}));
  EXPECT_EQ(batch.last, (std::vector<std::int64_t>{3, 4, 5}));
  EXPECT_EQ(batch.rows, (std::vector<std::size_t>{4, 9, 2}));
  ASSERT_EQ(batch.prompts.size(), 1u);
  EXPECT_EQ(batch.responses[1].prompt_length, 2);
  EXPECT_EQ(batch.responses[2].prompt_length, 0);
}

TEST(UnshareLongPrompts, LongResponsesGetAPromptOfTheirOwnInTheSameOrder) {
  const PackedBatch shared =
      pack({{{1, 2}, {{5}, {6, 7, 8}, {9}}, {4, 9, 2}}, {{}, {{3, 3, 3, 3, 3}}, {7}}});
  const PackedBatch batch = unshare_long_prompts(shared, /*longest=*/4);
  EXPECT_EQ(batch.ids, (std::vector<std::int32_t>{1, 2, 5, 1, 2, 6, 7, 8, 9, 3, 3, 3, 3, 3}));
  EXPECT_EQ(batch.positions, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 3, 4, 2, 0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.rows, shared.rows);
  EXPECT_EQ(batch.last, (std::vector<std::int64_t>{2, 7, 8, 13}));
  ASSERT_EQ(batch.prompts.size(), 2u);
  EXPECT_EQ(batch.responses[1].prompt_begin, 3);
  EXPECT_EQ(batch.responses[2].prompt_begin, 0);
  EXPECT_EQ(batch.responses[3].prompt_length, 0);
}

}  // namespace
}  // namespace charm::engine
