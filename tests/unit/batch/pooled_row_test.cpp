#include "charm/batch/pooled_row.h"

#include <gtest/gtest.h>

#include "charm/base/error.h"

namespace charm::batch {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(PooledRow, WithoutPadTheLastTokenIsPooled) {
  const PooledRow row = make_pooled_row({1, 2, 3, 4}, /*prompt_length=*/2, /*pad_token_id=*/-1);
  EXPECT_EQ(row.ids, (Ids{1, 2, 3, 4}));
  EXPECT_EQ(row.prompt_length, 2);
}

TEST(PooledRow, PadsAtTheRightEndAreDropped) {
  EXPECT_EQ(make_pooled_row({1, 9, 3, 9, 9}, 1, 9).ids, (Ids{1, 9, 3}));
}

TEST(PooledRow, TheBorderMovesBeforeAPooledTokenInThePrompt) {
  // An empty response closed by the pad token: the right-most other token belongs to the prompt.
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

}  // namespace
}  // namespace charm::batch
