// `charm demo`, as run by `make demo`, on a smaller world.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::e2e {
namespace {

TEST(Demo, EndsWithItsReport) {
  const charm::testing::TempFolder folder;
  const std::string output = (folder / "demo").string();
  const Outcome outcome =
      run_charm({"demo", "--output", output, "--prompts", "300", "--annotations", "600"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ::testing::HasSubstr("report: " + output + "/run/report.html"));
  const std::string html = read_file(output + "/run/report.html");
  EXPECT_THAT(html, ::testing::HasSubstr("<section id=\"world\">"));
  EXPECT_THAT(html, ::testing::HasSubstr("on the same rows"));
  const auto world = nlohmann::json::parse(read_file(output + "/run/world.json"));
  EXPECT_TRUE(world.is_object());
}

}  // namespace
}  // namespace charm::e2e
