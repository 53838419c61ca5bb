#include "charm/train/pair_batch.h"

#include <gtest/gtest.h>

namespace charm::train {
namespace {

using Ids = std::vector<std::int32_t>;
using Rows = std::vector<std::int64_t>;

PairBatch pack_all(const std::vector<EncodedPair>& pairs) {
  std::vector<std::size_t> order(pairs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::vector<PairBatch> batches = pack_pairs(pairs, order, 1 << 20);
  EXPECT_EQ(batches.size(), 1U);
  return batches.front();
}

/// Full sequences as packed for the model.
std::vector<Ids> sequences_of(const engine::PackedBatch& packed) {
  std::vector<Ids> sequences;
  for (const engine::Segment& segment : packed.responses) {
    Ids& ids = sequences.emplace_back();
    const auto add = [&](std::int64_t begin, std::int64_t length) {
      ids.insert(ids.end(), packed.ids.begin() + begin, packed.ids.begin() + begin + length);
    };
    add(segment.prompt_begin, segment.prompt_length);
    add(segment.response_begin, segment.response_length);
  }
  return sequences;
}

TEST(PackPairs, SharesTheLongestCommonPrefix) {
  const PairBatch batch = pack_all({{"p", {1, 2, 3, 4}, {1, 2, 5}, 0.5f}});
  EXPECT_EQ(batch.packed.ids, (Ids{1, 2, 3, 4, 5}));
  EXPECT_EQ(batch.pairs.chosen, Rows{0});
  EXPECT_EQ(batch.pairs.rejected, Rows{1});
  EXPECT_EQ(batch.pairs.margins, std::vector<float>{0.5f});
}

TEST(PackPairs, EachSideKeepsATokenOfItsOwn) {
  EXPECT_EQ(pack_all({{"p", {1, 2}, {1, 2, 3}, 0.0f}}).packed.ids, (Ids{1, 2, 2, 3}));
  EXPECT_EQ(pack_all({{"p", {1}, {2, 3}, 0.0f}}).packed.ids, (Ids{1, 2, 3}));
  const PairBatch same = pack_all({{"p", {1, 2}, {1, 2}, 0.0f}});
  EXPECT_EQ(same.packed.ids, (Ids{1, 2}));
  EXPECT_EQ(same.pairs.chosen, same.pairs.rejected);
}

TEST(PackPairs, KeepsPairsWholeAndInOrder) {
  std::vector<EncodedPair> pairs;
  for (std::int32_t i = 0; i < 5; ++i) {
    pairs.push_back({std::to_string(i), {10, i, 20}, {10, i, 21, 22}, static_cast<float>(i)});
  }
  const std::vector<std::size_t> order = {4, 0, 2, 1};
  const std::vector<PairBatch> batches = pack_pairs(pairs, order, /*budget_tokens=*/10);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].packed.ids, (Ids{10, 4, 20, 21, 22, 10, 0, 20, 21, 22}));
  EXPECT_EQ(batches[0].packed.rows, (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(batches[0].pairs.margins, (std::vector<float>{4.0f, 0.0f}));
  EXPECT_EQ(batches[1].pairs.margins, (std::vector<float>{2.0f, 1.0f}));
}

TEST(PackPairs, APairAboveTheBudgetIsABatchOfItsOwn) {
  const std::vector<EncodedPair> pairs = {{"p", {1, 2}, {1, 3}, 0.0f},
                                          {"p", Ids(50, 7), Ids(50, 8), 0.0f},
                                          {"p", {1, 2}, {1, 3}, 0.0f}};
  const std::vector<std::size_t> order = {0, 1, 2};
  const std::vector<PairBatch> batches = pack_pairs(pairs, order, 10);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[1].packed.num_tokens(), 100);
  EXPECT_TRUE(pack_pairs(pairs, {}, 10).empty());
}

// All pairs of three responses, with another prompt before and after.
TEST(PackPairs, AResponseOfSeveralPairsIsPackedOnce) {
  const Ids a = {1, 2, 5}, b = {1, 2, 6, 7}, c = {1, 2, 6, 8, 9}, other = {1, 3, 4},
            last = {1, 3, 5};
  const PairBatch batch = pack_all({{"q", other, last, 0.0f},
                                    {"p", a, b, 1.0f},
                                    {"p", c, a, 2.0f},
                                    {"p", b, c, 3.0f},
                                    {"r", last, other, 0.0f}});
  EXPECT_EQ(batch.packed.ids, (Ids{1, 3, 4, 5, 1, 2, 5, 6, 7, 6, 8, 9, 1, 3, 5, 4}));
  EXPECT_EQ(sequences_of(batch.packed), (std::vector<Ids>{other, last, a, b, c, last, other}));
  EXPECT_EQ(batch.pairs.chosen, (Rows{0, 2, 4, 3, 5}));
  EXPECT_EQ(batch.pairs.rejected, (Rows{1, 3, 2, 4, 6}));
}

TEST(PackPairs, ThePairsOfAPromptStayTogetherUpToFourBudgets) {
  const Ids a = {1, 2, 5}, b = {1, 2, 6, 7}, c = {1, 2, 6, 8, 9}, other = {3, 4}, last = {3, 5};
  const std::vector<EncodedPair> pairs = {{"q", other, last, 0.0f},
                                          {"p", a, b, 0.0f},
                                          {"p", c, a, 0.0f},
                                          {"p", b, c, 0.0f},
                                          {"r", last, other, 0.0f}};
  const std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  const auto check = [&](std::int64_t budget, std::vector<std::size_t> expected,
                         std::int64_t prompt_tokens = 0) {
    std::vector<std::size_t> sizes;
    std::size_t next = 0;
    for (const PairBatch& batch : pack_pairs(pairs, order, budget, prompt_tokens)) {
      sizes.push_back(batch.pairs.chosen.size());
      const std::vector<Ids> sequences = sequences_of(batch.packed);
      for (std::size_t i = 0; i < batch.pairs.chosen.size(); ++i, ++next) {
        EXPECT_EQ(sequences[static_cast<std::size_t>(batch.pairs.chosen[i])], pairs[next].chosen);
        EXPECT_EQ(sequences[static_cast<std::size_t>(batch.pairs.rejected[i])],
                  pairs[next].rejected);
      }
    }
    EXPECT_EQ(sizes, expected) << budget;
  };
  check(14, {5});  // 3 + 8 + 3 tokens
  check(11, {4, 1});
  check(6, {1, 3, 1});  // the three pairs of p have 8 tokens
  check(2, {1, 3, 1});  // four budgets
  check(1, {1, 1, 1, 1, 1});
  check(1, {1, 3, 1}, /*prompt_tokens=*/8);
  check(6, {1, 1, 1, 1, 1}, /*prompt_tokens=*/7);
}

TEST(PackPairs, OnePromptIdOverDifferentConversationsDoesNotLoseWhatPairsShare) {
  const PairBatch batch =
      pack_all({{"p", {1, 2, 3, 4}, {1, 2, 3, 5}, 0.0f}, {"p", {6, 7, 8, 4}, {6, 7, 8, 5}, 0.0f}});
  EXPECT_EQ(batch.packed.ids, (Ids{1, 2, 3, 4, 5, 6, 7, 8, 4, 5}));
}

}  // namespace
}  // namespace charm::train
