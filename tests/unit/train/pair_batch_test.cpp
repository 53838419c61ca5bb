#include "charm/train/pair_batch.h"

#include <gtest/gtest.h>

namespace charm::train {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(MakePair, SharesTheLongestCommonBeginning) {
  const EncodedPair pair = make_pair("p", {1, 2, 3, 4}, {1, 2, 5}, 0.5f);
  EXPECT_EQ(pair.shared, (Ids{1, 2}));
  EXPECT_EQ(pair.chosen, (Ids{3, 4}));
  EXPECT_EQ(pair.rejected, (Ids{5}));
  EXPECT_EQ(pair.num_tokens(), 5);
}

TEST(MakePair, EachSideKeepsATokenOfItsOwn) {
  const EncodedPair same = make_pair("p", {1, 2}, {1, 2}, 0.0f);
  EXPECT_EQ(same.shared, (Ids{1}));
  EXPECT_EQ(same.chosen, (Ids{2}));
  const EncodedPair prefix = make_pair("p", {1, 2}, {1, 2, 3}, 0.0f);
  EXPECT_EQ(prefix.chosen, (Ids{2}));
  EXPECT_EQ(prefix.rejected, (Ids{2, 3}));
  EXPECT_EQ(make_pair("p", {1}, {2, 3}, 0.0f).shared, Ids{});
}

TEST(PackPairs, KeepsPairsWholeAndInOrder) {
  std::vector<EncodedPair> pairs;
  for (std::int32_t i = 0; i < 5; ++i)
    pairs.push_back(make_pair("p", {10, i, 20}, {10, i, 21, 22}, static_cast<float>(i)));
  const std::vector<std::size_t> order = {4, 0, 2, 1};
  const std::vector<PairBatch> batches = pack_pairs(pairs, order, /*budget_tokens=*/10);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].packed.ids, (Ids{10, 4, 20, 21, 22, 10, 0, 20, 21, 22}));
  EXPECT_EQ(batches[0].packed.rows, (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(batches[0].margins, (std::vector<float>{4.0f, 0.0f}));
  EXPECT_EQ(batches[1].margins, (std::vector<float>{2.0f, 1.0f}));
}

TEST(PackPairs, APairAboveTheBudgetStandsAlone) {
  const std::vector<EncodedPair> pairs = {make_pair("p", {1, 2}, {1, 3}, 0.0f),
                                          make_pair("p", Ids(50, 7), Ids(50, 8), 0.0f),
                                          make_pair("p", {1, 2}, {1, 3}, 0.0f)};
  const std::vector<std::size_t> order = {0, 1, 2};
  const std::vector<PairBatch> batches = pack_pairs(pairs, order, 10);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[1].packed.num_tokens(), 100);
  EXPECT_TRUE(pack_pairs(pairs, {}, 10).empty());
}

}  // namespace
}  // namespace charm::train
