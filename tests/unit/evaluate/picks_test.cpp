#include "charm/evaluate/picks.h"

#include <gtest/gtest.h>

#include <cmath>

namespace charm::evaluate {
namespace {

// All subsets of n of m, as bit masks.
std::vector<unsigned> subsets(std::size_t m, std::size_t n) {
  std::vector<unsigned> masks;
  for (unsigned mask = 0; mask < (1U << m); ++mask) {
    if (static_cast<std::size_t>(__builtin_popcount(mask)) == n) masks.push_back(mask);
  }
  return masks;
}

TEST(Picks, EqualEnumerationOfSubsets) {
  const std::vector<double> scores = {1.0, 3.0, 2.0, 3.0, -1.0, 0.5};
  for (std::size_t n = 1; n <= scores.size(); ++n) {
    std::vector<double> expected(scores.size(), 0.0);
    const auto masks = subsets(scores.size(), n);
    for (const unsigned mask : masks) {
      std::vector<std::size_t> best;
      for (std::size_t i = 0; i < scores.size(); ++i) {
        if ((mask >> i & 1U) == 0) continue;
        if (!best.empty() && scores[i] < scores[best[0]]) continue;
        if (!best.empty() && scores[i] > scores[best[0]]) best.clear();
        best.push_back(i);
      }
      for (const std::size_t i : best)
        expected[i] += 1.0 / static_cast<double>(best.size() * masks.size());
    }
    const auto picks = pick_probabilities(scores, n);
    for (std::size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(picks[i], expected[i], 1e-12);
  }
}

TEST(Picks, SamePickEqualsEnumeration) {
  const std::vector<double> one = {1.0, 3.0, 2.0, 5.0, -1.0}, other = {4.0, 3.5, 2.0, 1.0, 9.0};
  for (std::size_t n = 1; n <= one.size(); ++n) {
    double expected = 0.0;
    const auto masks = subsets(one.size(), n);
    for (const unsigned mask : masks) {
      std::size_t a = one.size(), b = one.size();
      for (std::size_t i = 0; i < one.size(); ++i) {
        if ((mask >> i & 1U) == 0) continue;
        if (a == one.size() || one[i] > one[a]) a = i;
        if (b == one.size() || other[i] > other[b]) b = i;
      }
      expected += a == b ? 1.0 / static_cast<double>(masks.size()) : 0.0;
    }
    EXPECT_NEAR(same_pick_probability(one, other, n), expected, 1e-12) << n;
  }
  EXPECT_DOUBLE_EQ(same_pick_probability(one, one, 3), 1.0);
}

TEST(Picks, PlackettLuceEqualsEnumeration) {
  const std::vector<double> strengths = {0.3, -1.2, 2.0, 0.3, 0.9};
  for (std::size_t n = 1; n <= strengths.size(); ++n) {
    std::vector<double> expected(strengths.size(), 0.0);
    const auto masks = subsets(strengths.size(), n);
    for (const unsigned mask : masks) {
      double sum = 0.0;
      for (std::size_t i = 0; i < strengths.size(); ++i)
        sum += (mask >> i & 1U) != 0 ? std::exp(strengths[i]) : 0.0;
      for (std::size_t i = 0; i < strengths.size(); ++i) {
        if ((mask >> i & 1U) != 0)
          expected[i] += std::exp(strengths[i]) / sum / static_cast<double>(masks.size());
      }
    }
    const auto picks = plackett_luce_picks(strengths, n);
    for (std::size_t i = 0; i < strengths.size(); ++i) EXPECT_NEAR(picks[i], expected[i], 1e-10);
  }
}

TEST(Picks, KlIsThatOfBestOfN) {
  EXPECT_EQ(best_of_n_kl(1), 0.0);
  EXPECT_DOUBLE_EQ(best_of_n_kl(4), std::log(4.0) - 0.75);
}

}  // namespace
}  // namespace charm::evaluate
