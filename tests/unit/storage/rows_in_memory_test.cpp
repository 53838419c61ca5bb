#include <gmock/gmock.h>

#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

using ::testing::HasSubstr;

TEST(RowsInMemory, EveryRowHasAPlace) {
  const std::vector<ResponseRow> rows =
      read_response_rows(open_json_text("{\"prompt\": \"a\", \"response\": \"b\"}\n"
                                        "{\"prompt\": \"a\"}\n"
                                        "\n"
                                        "[1]\n"
                                        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
                                        "{\"role\": \"assistant\", \"content\": \"c\"}]}",
                                        "rows"),
                         "rows");
  ASSERT_EQ(rows.size(), 4u);
  ASSERT_TRUE(rows[0].response);
  EXPECT_EQ(rows[0].response->response, "b");
  EXPECT_EQ(rows[0].response->policy, "rows");
  EXPECT_FALSE(rows[1].response);
  EXPECT_THAT(rows[1].problem, HasSubstr("rows, row 2: "));
  EXPECT_FALSE(rows[2].response);
  EXPECT_THAT(rows[2].problem, HasSubstr("rows"));
  ASSERT_TRUE(rows[3].response);
  EXPECT_EQ(rows[3].response->prompt, rows[0].response->prompt);
  EXPECT_EQ(rows[3].response->response, "c");
}

TEST(RowsInMemory, NoRowsAreNoError) {
  EXPECT_TRUE(read_response_rows(open_json_text("", "rows"), "rows").empty());
}

}  // namespace
}  // namespace charm::storage
