#include "charm/engine/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/engine/decoder_fixture.h"

namespace charm::engine {
namespace {

/// The row of a position from the formula in float64, of an angle that is a float32.
void expect_row(const RopeTable& table, std::int64_t row, std::int64_t position,
                const std::vector<float>& inverse_F, double scaling = 1.0) {
  const auto factor = static_cast<float>(scaling);
  for (std::size_t f = 0; f < inverse_F.size(); ++f) {
    const float angle = static_cast<float>(position) * inverse_F[f];
    const auto at = static_cast<std::size_t>(row) * inverse_F.size() + f;
    EXPECT_EQ(table.cos_TF.data<float>()[at], static_cast<float>(std::cos(double{angle})) * factor);
    EXPECT_EQ(table.sin_TF.data<float>()[at], static_cast<float>(std::sin(double{angle})) * factor);
  }
}

TEST(RopeAngles, RowsAreThoseOfTheirPositionsInAnyOrder) {
  const RopeFrequencies frequencies = rope_frequencies(RopeConfig{}, 16);
  RopeAngles angles(frequencies);
  for (const std::vector<std::int32_t>& positions :
       {std::vector<std::int32_t>{3, 0, 3}, {900, 1}, {4, 5000}, {5001, 2, 3}}) {
    const RopeTable table = angles.table(positions, {});
    for (std::size_t t = 0; t < positions.size(); ++t)
      expect_row(table, static_cast<std::int64_t>(t), positions[t], frequencies.inverse_F);
  }
  EXPECT_EQ(angles.table({}, {}).cos_TF.rows(), 0);
}

TEST(RopeAngles, LongSequencesHaveTheFrequenciesOfTheirLength) {
  const DecoderConfig config = dynamic_config();
  RopeAngles angles = rope_angles(config).front();
  const std::vector<std::int32_t> positions = {0, 7, 7, 61};
  const std::vector<RopeSpan> spans = {{0, 2, 60}, {2, 2, 62}};
  const RopeTable table = angles.table(positions, spans);
  const RopeFrequencies& frequencies = angles.frequencies();
  EXPECT_NE(frequencies.inverse_F, frequencies.of_length(62));
  expect_row(table, 1, 7, frequencies.inverse_F);
  expect_row(table, 2, 7, frequencies.of_length(62));
  expect_row(table, 3, 61, frequencies.of_length(62));
}

TEST(RopeAngles, ProportionalRopeTurnsTheFirstPairsAlone) {
  const RopeConfig rope{
      .kind = RopeKind::kProportional, .theta = 100.0, .rotated_pairs = 0.5, .factor = 2.0};
  const std::vector<float> found = rope_frequencies(rope, 14).inverse_F;
  ASSERT_EQ(found.size(), 7u);
  for (std::size_t f = 0; f < 7; ++f) {
    // int(0.5 * 14 // 2) = 3 pairs
    const double expected =
        f < 3 ? std::pow(100.0, -2.0 * static_cast<double>(f) / 14.0) / 2.0 : 0.0;
    EXPECT_NEAR(found[f], expected, 1e-7) << f;
  }
}

}  // namespace
}  // namespace charm::engine
