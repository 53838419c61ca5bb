#include "charm/calibrate/smooth_pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "charm/base/random.h"
#include "charm/calibrate/nufft.h"
#include "charm/calibrate/spectral_pairs.h"

namespace charm::calibrate {
namespace {

std::vector<double> normals(std::size_t count, double mean, double spread, const char* name) {
  RandomStream stream(3, name);
  std::vector<double> values(count);
  for (double& value : values) value = static_cast<float>(mean + spread * stream.normal());
  return values;
}

// The definition, pair by pair.
double win_rate_by_hand(const std::vector<double>& over, const std::vector<double>& ref,
                        const std::vector<double>& weights, std::size_t block_rows,
                        double temperature, double offset) {
  double sum = 0.0;
  double total = 0.0;
  for (std::size_t first = 0; first < over.size(); first += block_rows) {
    const std::size_t last = std::min(over.size(), first + block_rows);
    double wins = 0.0;
    double weight = 0.0;
    for (std::size_t i = first; i < last; ++i) weight += weights[i];
    for (std::size_t i = first; i < last; ++i) {
      for (std::size_t j = first; j < last; ++j) {
        wins +=
            weights[i] * weights[j] / (1.0 + std::exp(-(over[i] + offset - ref[j]) / temperature));
      }
    }
    if (weight == 0.0) continue;
    sum += wins / weight;
    total += weight;
  }
  return sum / total;
}

TEST(Fft, EqualsTheDefinition) {
  const Fft fft(16);
  RandomStream stream(1, "fft");
  std::vector<std::complex<double>> values(16);
  for (auto& value : values) value = {stream.normal(), stream.normal()};
  auto transformed = values;
  fft.transform(transformed);
  for (std::size_t m = 0; m < 16; ++m) {
    std::complex<double> sum;
    for (std::size_t l = 0; l < 16; ++l) {
      sum +=
          values[l] * std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(m * l) / 16.0);
    }
    EXPECT_NEAR(std::abs(transformed[fft.position(m)] - sum), 0.0, 1e-13) << m;
  }
}

TEST(SmoothPairs, EqualsTheDefinitionToTwelveDigits) {
  for (const double spread : {0.01, 0.3, 5.0}) {
    for (const std::size_t block_rows : {std::size_t{137}, std::size_t{50}, std::size_t{1}}) {
      const auto over = normals(137, 2.0, spread, "over");
      const auto ref = normals(137, -1.0, spread, "ref");
      std::vector<double> weights(over.size());
      RandomStream stream(1, "weights");
      for (double& weight : weights) weight = static_cast<double>(stream.below(4));
      const SmoothPairsOptions options{.temperature = 0.1,
                                       .block_rows = static_cast<std::int64_t>(block_rows)};
      ASSERT_TRUE(SpectralPairs::suits(over, ref, options));
      const SpectralPairs spectral(over, ref, options);
      const DirectPairs direct(over, ref, options);
      const auto spectral_curve = spectral.curve(weights, weights);
      const auto direct_curve = direct.curve(weights, weights);
      for (double offset = -20.0; offset < 20.0; offset += 0.731) {
        const double expected = win_rate_by_hand(over, ref, weights, block_rows, 0.1, offset);
        EXPECT_NEAR(spectral_curve->at(offset).win_rate, expected, 1e-12)
            << spread << " " << block_rows << " " << offset;
        EXPECT_NEAR(direct_curve->at(offset).win_rate, expected, 1e-12)
            << spread << " " << block_rows << " " << offset;
      }
    }
  }
}

TEST(SmoothPairs, SlopeIsTheDerivative) {
  const auto over = normals(90, 0.0, 0.5, "over");
  const auto ref = normals(90, 0.0, 0.5, "ref");
  const auto curve = make_smooth_pairs(over, ref, {.temperature = 0.1, .block_rows = 40})->curve();
  for (const double offset : {-1.0, -0.2, 0.0, 0.7}) {
    const double step = 1e-5;
    const double numeric =
        (curve->at(offset + step).win_rate - curve->at(offset - step).win_rate) / (2.0 * step);
    EXPECT_NEAR(curve->at(offset).slope, numeric, 1e-8);
  }
}

TEST(SmoothPairs, SidesAddUpToOne) {
  const auto over = normals(64, 1.0, 1.0, "over");
  const auto ref = normals(64, 0.0, 2.0, "ref");
  const SmoothPairsOptions options{.temperature = 0.1, .block_rows = 30};
  const auto curve = make_smooth_pairs(over, ref, options)->curve();
  const auto mirrored = make_smooth_pairs(ref, over, options)->curve();
  for (const double offset : {-3.0, -0.5, 0.0, 1.5}) {
    EXPECT_NEAR(curve->at(offset).win_rate + mirrored->at(-offset).win_rate, 1.0, 1e-13);
  }
}

TEST(SmoothPairs, WideScoresAreSummedDirectly) {
  std::vector<double> over = {-1e30, 0.0, 1e30};
  std::vector<double> ref = {-1e29, 0.05, 1e29};
  const SmoothPairsOptions options{.temperature = 0.1};
  EXPECT_FALSE(SpectralPairs::suits(over, ref, options));
  const double middle = (2.0 + 1.0 / (1.0 + std::exp(0.5))) / 3.0 - 1.0 / 3.0;
  EXPECT_NEAR(make_smooth_pairs(over, ref, options)->curve()->at(0.0).win_rate,
              (0.0 + middle + 1.0) / 3.0, 1e-15);
}

TEST(FindRoot, WithinItsTolerance) {
  const auto over = normals(300, 4.0, 1.0, "over");
  const auto ref = normals(300, 0.0, 1.0, "ref");
  const auto curve = make_smooth_pairs(over, ref, {.temperature = 0.1})->curve();
  for (const double target : {1e-6, 0.05, 0.5, 0.7, 1.0 - 1e-6}) {
    const double root = find_root(*curve, target, root_bracket(over, ref, target, 0.1), 0.0);
    EXPECT_LE(curve->at(root - 1e-9).win_rate, target + 1e-15) << target;
    EXPECT_GE(curve->at(root + 1e-9).win_rate, target - 1e-15) << target;
  }
}

TEST(FindRoot, OnAFlatCurveTheWinRateIsRight) {
  // Two clusters far apart: the curve rests at 1/2 between them.
  const std::vector<double> over = {0.0, 0.0, 100.0, 100.0};
  const std::vector<double> ref = {50.0};
  const auto curve = make_smooth_pairs(over, ref, {.temperature = 0.1})->curve();
  const double root = find_root(*curve, 0.5, root_bracket(over, ref, 0.5, 0.1), 0.0);
  EXPECT_NEAR(curve->at(root).win_rate, 0.5, 1e-12);
}

}  // namespace
}  // namespace charm::calibrate
