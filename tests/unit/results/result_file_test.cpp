#include "charm/results/result_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

TEST(ResultFile, ATableHasTheMembersOfAllRowsAsColumns) {
  const Json rows = {{{"name", "a"}, {"x", 0.1}, {"x_ci95", nullptr}, {"n", 3}},
                     {{"name", "b, \"c\""},
                      {"x", 1.0 / 3.0},
                      {"x_ci95", {-1.5, 2}},
                      {"test", {{"p_value", 0.5}}},
                      {"n", 4}}};
  EXPECT_EQ(csv_table(rows),
            "name,x,x_ci95_lo,x_ci95_hi,test_p_value,n\r\n"
            "a,0.1,,,,3\r\n"
            "\"b, \"\"c\"\"\",0.3333333333333333,-1.5,2,0.5,4\r\n");
  EXPECT_EQ(csv_table(Json::array({{{"list", {1, 2, 3}}, {"text", "two\nlines"}}})),
            "list,text\r\n\"[1,2,3]\",\"two\nlines\"\r\n");
}

TEST(ResultFile, AnEvaluationIsATableOfItsParts) {
  const Json result = {{"version", 1},
                       {"overall", 0.5},
                       {"overall_ci95", {0.4, 0.6}},
                       {"sections", {{"Chat", 0.7}, {"Chat_ci95", {0.6, 0.8}}}},
                       {"subsets", {{"one", {{"accuracy", 1.0}, {"num_rows", 3}}}}}};
  EXPECT_EQ(csv_table(evaluation_table(result)),
            "part,name,accuracy,num_rows,score,score_ci95_lo,score_ci95_hi\r\n"
            "overall,overall,,,0.5,0.4,0.6\r\n"
            "section,Chat,,,0.7,0.6,0.8\r\n"
            "subset,one,1.0,3,,,\r\n");
}

TEST(ResultFile, InputsAreReadAsTheyWereWritten) {
  const std::vector<InputFile> files = {{.path = "a.parquet", .sha256 = "ab", .num_rows = 3},
                                        {.path = "b.parquet", .sha256 = "cd", .num_rows = 4}};
  const nlohmann::ordered_json result = {{"inputs", inputs_json(files)}};
  EXPECT_EQ(inputs_json(read_inputs(result)), result["inputs"]);
  EXPECT_TRUE(read_inputs({{"mode", "votes"}}).empty());
}

TEST(ResultFile, TheNameDecidesTheFormat) {
  const testing::TempFolder folder;
  const Json result = {{"rows", {{{"a", 1}}}}};
  write_result(folder / "r.CSV", result, result["rows"]);
  EXPECT_EQ(read_file(folder / "r.CSV"), "a\r\n1\r\n");
  write_result(folder / "r.v1", result, result["rows"]);
  EXPECT_EQ(Json::parse(read_file(folder / "r.v1")), result);
  for (const char* name : {"r.json", "r.csv", "r", "-", "r.v1"}) require_result_name(name);
  EXPECT_ERROR(kUsage, "not as .parquet", require_result_name("r.Parquet"));
}

}  // namespace
}  // namespace charm::results
