#include "charm/report/charts.h"

#include <gtest/gtest.h>

namespace charm::report {
namespace {

TEST(Charts, DotPlotKeepsValuesIntervalsAndTargets) {
  DotPlotOptions options;
  options.series_order = {kBefore, kAfterCalibration};
  options.row_order = {"a vs b"};
  options.targets = {{"a vs b", 0.4}};
  const auto spec = dot_plot_spec({{"a vs b", kBefore, {0.6, stats::Interval{0.5, 0.7}}},
                                   {"a vs b", kAfterCalibration, {0.4, {}}}},
                                  options);
  const auto& values = spec["data"]["values"];
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0]["lo"], 0.5);
  EXPECT_FALSE(values[1].contains("lo"));
  EXPECT_EQ(spec["layer"][0]["data"]["values"][0]["value"], 0.4);
}

TEST(Charts, HeatMapScaleIsSymmetric) {
  PairResult pair;
  pair.policy = "a";
  pair.reference = "b";
  pair.mismatch = Measured{0.25, {}};
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

TEST(PlaceLabels, AvoidsPointsLabelsAndBorders) {
  // The second point blocks the right of the first, the border the left of it.
  const auto places = place_labels({{30, 50, 8}, {48, 50, 8}, {195, 90, 8}}, 200, 100);
  EXPECT_EQ(places[0], LabelPlace::kAbove);
  EXPECT_EQ(places[1], LabelPlace::kRight);
  EXPECT_EQ(places[2], LabelPlace::kLeft);
  EXPECT_EQ(place_labels({{50, 50, 40}}, 100, 100)[0], LabelPlace::kHidden);
}

}  // namespace
}  // namespace charm::report
