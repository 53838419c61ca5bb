#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

using ::testing::ElementsAre;

TEST(ExpertRows, RowsAreSortedByExpertAndKeepTheirOrder) {
  // Experts 2 and 0, 0 and 1, 2 and 1 of three.
  const std::vector<float> logits = {1, 0, 2, /**/ 5, 4, 3, /**/ -1, 0, 1};
  const ExpertRows experts = route(logits.data(), 3, {.num_experts = 3, .experts_per_token = 2});
  EXPECT_THAT(experts.begins_X, ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(experts.rows_N, ElementsAre(0, 1, 1, 2, 0, 2));
  EXPECT_THAT(experts.places_Tk, ElementsAre(0, 4, 1, 2, 3, 5));
}

TEST(ExpertRows, WeightsAreProbabilitiesOrSumToOne) {
  const std::vector<float> logits = {0.5f, -1.0f, 2.0f, 1.5f};
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  const ExpertRows shares =
      route(logits.data(), 1, {.num_experts = 4, .experts_per_token = 2, .normalise = false});
  EXPECT_NEAR(shares.weights_Tk[0], std::exp(2.0) / sum, 1e-7);
  EXPECT_NEAR(shares.weights_Tk[1], std::exp(1.5) / sum, 1e-7);
  const ExpertRows normalised =
      route(logits.data(), 1, {.num_experts = 4, .experts_per_token = 2, .normalise = true});
  EXPECT_NEAR(normalised.weights_Tk[0], 1.0 / (1.0 + std::exp(-0.5)), 1e-7);
  EXPECT_NEAR(normalised.weights_Tk[0] + normalised.weights_Tk[1], 1.0, 1e-7);
}

TEST(ExpertRows, OfEqualLogitsTheLowerExpertWins) {
  const std::vector<float> logits = {1, 3, 3, 3, 0};
  const ExpertRows experts = route(logits.data(), 1, {.num_experts = 5, .experts_per_token = 2});
  EXPECT_THAT(experts.begins_X, ElementsAre(0, 0, 1, 2, 2, 2));
}

TEST(ExpertRows, ExtremeLogitsHaveFiniteWeights) {
  const std::vector<float> logits = {-3e38f, 3e38f, 0.0f};
  for (const bool normalise : {false, true}) {
    const ExpertRows experts =
        route(logits.data(), 1, {.num_experts = 3, .experts_per_token = 3, .normalise = normalise});
    EXPECT_THAT(experts.weights_Tk, ElementsAre(0.0f, 1.0f, 0.0f));
  }
}

TEST(ExpertRows, NoRows) {
  const ExpertRows experts = route(nullptr, 0, {.num_experts = 2, .experts_per_token = 1});
  EXPECT_THAT(experts.begins_X, ElementsAre(0, 0, 0));
  gather_rows<float>(nullptr, experts, 8, nullptr);
  combine_rows<float>(nullptr, experts, 0, 8, true, nullptr);
}

float value(float v) { return v; }
float value(BFloat16 v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16); }
void assign(float v, float& to) { to = v; }
void assign(float v, BFloat16& to) {
  to.bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(v) >> 16);
}

template <typename Element>
class ExpertRowsOf : public testing::Test {};
using Elements = testing::Types<float, BFloat16>;
TYPED_TEST_SUITE(ExpertRowsOf, Elements);

TYPED_TEST(ExpertRowsOf, GatheredAndCombinedRowsAreWeightedSumsWhateverTheThreads) {
  constexpr std::int64_t kRows = 70, kWidth = 37, kExperts = 6, kPerToken = 3;
  RandomStream stream(3, "expert_rows");
  std::vector<float> logits(kRows * kExperts);
  for (float& logit : logits) logit = static_cast<float>(stream.normal());
  std::vector<TypeParam> x(kRows * kWidth), gathered(kRows * kPerToken * kWidth);
  for (TypeParam& v : x) assign(static_cast<float>(stream.normal()), v);
  std::vector<TypeParam> expected;
  for (const std::int64_t threads : {1, 2, 3}) {
    set_num_threads(threads);
    const ExpertRows experts =
        route(logits.data(), kRows, {.num_experts = kExperts, .experts_per_token = kPerToken});
    gather_rows<TypeParam>(x.data(), experts, kWidth, gathered.data());
    for (std::size_t n = 0; n < experts.rows_N.size(); ++n) {
      for (std::int64_t d = 0; d < kWidth; ++d) {
        ASSERT_EQ(value(gathered[n * kWidth + static_cast<std::size_t>(d)]),
                  value(x[static_cast<std::size_t>(experts.rows_N[n] * kWidth + d)]));
      }
    }
    std::vector<TypeParam> out = x;
    combine_rows<TypeParam>(gathered.data(), experts, kRows, kWidth, /*add=*/true, out.data());
    // Weights sum to 1 and every expert returned its input: the sum doubles x.
    for (std::size_t i = 0; i < out.size(); ++i)
      EXPECT_NEAR(value(out[i]), 2 * value(x[i]), 1e-2 * std::abs(value(x[i])) + 1e-6);
    if (expected.empty()) expected = out;
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(value(out[i]), value(expected[i]));
  }
  set_num_threads(2);
}

}  // namespace
}  // namespace charm::kernels
