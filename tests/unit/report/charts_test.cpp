#include "charm/report/charts.h"

#include <gtest/gtest.h>

namespace charm::report {
namespace {

TEST(Charts, DotPlotKeepsValuesIntervalsAndTargets) {
  DotPlotOptions options;
  options.series_order = {kBefore, kAfterCalibration};
  options.row_order = {"a vs b"};
  options.targets = {{"a vs b", 0.4}};
  const auto spec = dot_plot_spec({{"a vs b", kBefore, {0.6, results::Interval{0.5, 0.7}}},
                                   {"a vs b", kAfterCalibration, {0.4, {}}}},
                                  options);
  const auto& values = spec["data"]["values"];
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0]["lo"], 0.5);
  EXPECT_FALSE(values[1].contains("lo"));
  EXPECT_EQ(spec["layer"][0]["data"]["values"][0]["value"], 0.4);
}

TEST(Charts, HeatMapScaleIsSymmetric) {
  results::Pair pair;
  pair.policy = "a";
  pair.reference = "b";
  pair.before.mismatch.value = 0.25;
  const auto spec = mismatch_heat_map_spec({pair}, {"a", "b"}, 0.5);
  EXPECT_EQ(spec["layer"][0]["encoding"]["color"]["scale"]["domain"],
            nlohmann::ordered_json({-0.5, 0, 0.5}));
  EXPECT_EQ(spec["data"]["values"].size(), 1u);
}

TEST(Charts, ScoreStripsHaveOneBarPerBin) {
  ModelScores scores{"rm", -1.0, 0.5, {{"a", 4, 0, 0.0, 1.0, 0.0, {1, 3}}}};
  const auto spec = score_strips_spec(scores, {"a"});
  ASSERT_EQ(spec["data"]["values"].size(), 2u);
  EXPECT_EQ(spec["data"]["values"][1]["lo"], -0.5);
  EXPECT_EQ(spec["data"]["values"][1]["share"], 0.75);
}

TEST(Charts, TrainingCurveTellsHeldOutFromTraining) {
  const auto spec = training_curve_spec(
      {{1, false, {{"loss", 0.6}}}, {1, true, {{"loss", 0.7}}}, {2, false, {{"margin", 1}}}},
      "loss");
  ASSERT_EQ(spec["data"]["values"].size(), 2u);
  EXPECT_EQ(spec["data"]["values"][1]["series"], "held-out");
}

// assets/report.js finds the two layers by these names.
TEST(Charts, ScatterNamesTheLayersThatVegaLabels) {
  const auto spec = rating_scatter_spec({{"a", 1200, 0.5}, {"b", 1300, 0.25}});
  ASSERT_EQ(spec["layer"].size(), 2u);
  EXPECT_EQ(spec["layer"][0]["name"], "points");
  EXPECT_EQ(spec["layer"][1]["name"], "labels");
  EXPECT_EQ(spec["data"]["values"][1]["rating"], 1300);
}

}  // namespace
}  // namespace charm::report
