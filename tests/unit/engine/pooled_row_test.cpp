#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "charm/engine/token_batch.h"
#include "tests/support/expect_error.h"

namespace charm::engine {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(PooledRow, WithoutPadTheLastTokenIsPooled) {
  const PooledRow row = make_pooled_row({1, 2, 3, 4}, /*prompt_length=*/2, /*pad_token_id=*/-1);
  EXPECT_EQ(row.ids, (Ids{1, 2, 3, 4}));
  EXPECT_EQ(row.prompt_length, 2);
}

TEST(PooledRow, PadsAtTheRightEndAreDropped) {
  EXPECT_EQ(make_pooled_row({1, 9, 3, 9, 9}, 1, 9).ids, (Ids{1, 9, 3}));
  EXPECT_EQ(make_pooled_row({1, 9, 3, 9, 9}, 1, 9).num_cut, 2);
  EXPECT_EQ(make_pooled_row({1, 9, 3, 9, 9}, 1, -1).num_cut, 0);
}

TEST(PooledRow, TheSplitMovesBeforeAPooledTokenInThePrompt) {
  // An empty response closed by the pad token: the right-most token other than pad belongs to the
  // prompt.
  const PooledRow row = make_pooled_row({1, 2, 3, 9}, /*prompt_length=*/3, 9);
  EXPECT_EQ(row.ids, (Ids{1, 2, 3}));
  EXPECT_EQ(row.prompt_length, 2);
}

TEST(PooledRow, OnlyPadsIsAnInputError) {
  try {
    make_pooled_row({9, 9}, 1, 9);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(error.message().find("pad_token_id 9"), std::string::npos);
  }
}

TEST(PooledRow, IsSplitWhereTheGateLastBegins) {
  const Ids gate = {7, 8};
  const PooledRow in_prompt =
      make_pooled_row({1, 7, 8, 2, 7, 8, 3, 9}, /*prompt_length=*/6, 9, gate);
  EXPECT_EQ(in_prompt.ids, (Ids{1, 7, 8, 2, 7, 8, 3}));
  EXPECT_EQ(in_prompt.prompt_length, 4);
  EXPECT_EQ(make_pooled_row({1, 2, 7, 8, 3}, /*prompt_length=*/1, 9, gate).prompt_length,
            2);  // in the response
  EXPECT_EQ(make_pooled_row({7, 8, 3}, /*prompt_length=*/0, 9, gate).prompt_length, 0);
  EXPECT_ERROR(kInput, "does not contain the tokens", make_pooled_row({1, 7, 2, 8}, 1, 9, gate));
}

TEST(PooledRow, DroppedTokensCountForTheLengthOfTheSequence) {
  std::vector<std::pair<std::size_t, PooledRow>> rows;
  for (const Ids& ids : {Ids{1, 2, 3, 9}, Ids{1, 2, 4}, Ids{1, 2, 5, 6, 9, 9}})
    rows.emplace_back(rows.size(), make_pooled_row(ids, /*prompt_length=*/2, 9));
  const std::vector<PromptGroup> groups = group_by_prompt(rows);
  const PackedBatch batch = pack(groups);
  const auto lengths = [](const PackedBatch& packed) {
    std::vector<std::int64_t> found;
    for (const Segment& s : packed.responses) found.push_back(s.sequence_length());
    return found;
  };
  EXPECT_EQ(lengths(batch), (std::vector<std::int64_t>{4, 3, 6}));
  EXPECT_TRUE(shares_long_prompts(batch, 5));
  EXPECT_FALSE(shares_long_prompts(batch, 6));
  EXPECT_EQ(lengths(unshare_long_prompts(batch, 3)), lengths(batch));
  std::vector<std::int64_t> split;
  for (const auto& part : plan_batches(groups, 3)) {
    for (const std::int64_t length : lengths(pack(part))) split.push_back(length);
  }
  EXPECT_EQ(split, lengths(batch));
}

TEST(AddGates, GivesEachPromptOneMoreToken) {
  const Ids gate = {7, 8};
  // Two responses to one prompt, and one without a prompt.
  const PackedBatch batch =
      pack({{{1, 2}, {{7, 8, 3}, {7, 8, 4, 5}}, {0, 1}}, {{}, {{7, 8, 6}}, {2}}});
  const GatedBatch gated = add_gates(batch, gate);
  EXPECT_EQ(gated.gate_of, (std::vector<std::int64_t>{3, 3, 4}));
  ASSERT_EQ(gated.packed.responses.size(), 5u);
  EXPECT_EQ(gated.packed.ids, (Ids{1, 2, 7, 8, 3, 7, 8, 4, 5, 7, 8, 6, 7, 7}));
  EXPECT_EQ(gated.packed.positions, (Ids{0, 1, 2, 3, 4, 2, 3, 4, 5, 0, 1, 2, 2, 0}));
  EXPECT_EQ(gated.packed.last, (std::vector<std::int64_t>{4, 8, 11, 12, 13}));
  EXPECT_EQ(gated.packed.responses[3].prompt_length, 2);
  EXPECT_EQ(gated.packed.responses[4].prompt_length, 0);
}

}  // namespace
}  // namespace charm::engine
