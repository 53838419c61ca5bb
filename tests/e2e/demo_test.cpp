// `charm demo`, as run by `make demo`, on a smaller world.

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::e2e {
namespace {

/// The world's truth is known, so this is where a wrong calibration or training shows.
TEST(Demo, RecoversThePlantedOffsetAndEndsWithItsReport) {
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
  const double planted = world.at("planted").at(0).at("planted_offset");
  const double recovered = world.at("recovered_offset");
  const double lo = world.at("recovered_offset_ci95").at(0),
               hi = world.at("recovered_offset_ci95").at(1);
  EXPECT_LT(planted, -0.5) << "the reward model is biased towards style";
  EXPECT_LE(lo, planted);
  EXPECT_GE(hi, planted);
  EXPECT_EQ(world.at("planted_in_interval"), true);
  EXPECT_LT(hi, 0.0);
  EXPECT_NEAR(recovered, planted, 0.4);  // about two standard errors of 210 prompts
  const auto& pair = world.at("showman_over_helper");
  const double before = pair.at("held_out_mismatch_degree_before"),
               after = pair.at("held_out_mismatch_degree_after");
  EXPECT_GT(before, 0.2);
  EXPECT_LT(std::abs(after), 0.6 * before) << "training removes most of the bias";
  EXPECT_LT(std::abs(pair.at("mismatch_degree_with_offset").get<double>()), 0.02);
}

}  // namespace
}  // namespace charm::e2e
