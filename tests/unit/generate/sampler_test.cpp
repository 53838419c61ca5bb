#include "charm/generate/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "tests/golden/golden_fixture.h"

namespace charm::generate {
namespace {

SamplingOptions plain() { return {.temperature = 1.0, .top_p = 1.0}; }

TEST(Sampler, DistributionsEqualTransformers) {
  const golden::Json fixture = golden::read_json(golden::data_dir() / "generate" / "sampler.json");
  golden::Worst worst("probability");
  for (const golden::Json& row : fixture["rows"]) {
    SamplingOptions options = plain();
    const golden::Json& settings = row["settings"];
    options.temperature = settings["temperature"];
    options.top_p = settings.value("top_p", 1.0);
    options.top_k = settings.value("top_k", 0);
    options.min_p = settings.value("min_p", 0.0);
    options.repetition_penalty = settings.value("repetition_penalty", 1.0);
    const auto logits = row["logits"].get<std::vector<float>>();
    std::vector<double> found(logits.size(), 0.0);
    for (const auto& [id, p] :
         Sampler(options).distribution(logits, row["seen"].get<std::vector<std::int32_t>>())) {
      found[static_cast<std::size_t>(id)] = p;
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      worst.add(found[i], row["probabilities"][i].get<double>(),
                settings.dump() + " token " + std::to_string(i));
    }
  }
  worst.check(fixture["tolerance"].get<double>());
}

TEST(Sampler, SamplesFollowTheDistribution) {
  RandomStream stream(8, "sampler_test");
  std::vector<float> logits(300);
  for (float& l : logits) l = static_cast<float>(2.0 * stream.normal());
  for (const double top_p : {1.0, 0.8}) {
    SamplingOptions options = plain();
    options.top_p = top_p;
    options.seed = 5;
    const Sampler sampler(options);
    std::map<std::int32_t, double> counts;
    constexpr int kSamples = 20000;
    for (int i = 0; i < kSamples; ++i) {
      counts[sampler.next(
          logits, {},
          {.prompt_id = "p" + std::to_string(i % 100), .sample = i / 100, .position = i % 7})] += 1;
    }
    double statistic = 0.0, rest = kSamples, rest_expected = kSamples;
    int bins = 0;
    for (const auto& [id, p] : sampler.distribution(logits, {})) {
      const double expected = p * kSamples;
      if (expected < 10) break;
      statistic += (counts[id] - expected) * (counts[id] - expected) / expected;
      rest -= counts[id];
      rest_expected -= expected;
      ++bins;
    }
    if (rest_expected > 5)
      statistic += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
    // Mean `bins`, variance 2 * bins; five standard deviations.
    EXPECT_LT(statistic, bins + 5 * std::sqrt(2.0 * bins)) << bins << " bins";
    EXPECT_GT(bins, 20);
  }
}

TEST(Sampler, ASampleDependsOnItsKey) {
  const std::vector<float> logits(1000, 0.0f);
  SamplingOptions options = plain();
  const auto sample_token = [&](std::uint64_t seed, const char* prompt, std::int32_t sample,
                                std::int64_t position) {
    options.seed = seed;
    return Sampler(options).next(logits, {}, {prompt, sample, position});
  };
  const std::int32_t first = sample_token(1, "a", 0, 0);
  EXPECT_EQ(sample_token(1, "a", 0, 0), first);
  EXPECT_NE(sample_token(2, "a", 0, 0), first);
  EXPECT_NE(sample_token(1, "b", 0, 0), first);
  EXPECT_NE(sample_token(1, "a", 1, 0), first);
  EXPECT_NE(sample_token(1, "a", 0, 1), first);
}

TEST(Sampler, GreedyTakesTheLowestIdOnTies) {
  SamplingOptions options = plain();
  options.temperature = 0.0;
  EXPECT_EQ(Sampler(options).next(std::vector<float>{0, 3, 3, 1}, {}, {}), 1);
  options.repetition_penalty = 2.0;
  EXPECT_EQ(
      Sampler(options).next(std::vector<float>{0, 3, 3, 1}, std::vector<std::int32_t>{1, 1}, {}),
      2);
}

TEST(Sampler, InfiniteLogitsAreNeverSampled) {
  const float none = -std::numeric_limits<float>::infinity();
  const auto tokens = Sampler(plain()).distribution(std::vector<float>{none, 1.0f, none, 0.0f}, {});
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].id, 1);
  EXPECT_NEAR(tokens[0].probability, 1 / (1 + std::exp(-1.0)), 1e-6);
}

}  // namespace
}  // namespace charm::generate
