#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/score.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"
#include "tests/support/source_dir.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kSeeds = 12;

// [seed] offset of a policy under our training.
std::vector<double> our_offsets(const Json& golden_case, std::size_t policy) {
  std::vector<ScoreFile> files;
  std::vector<ArenaRating> ratings;
  const std::size_t num_policies = golden_case.at("ratings").size();
  for (std::size_t p = 0; p < num_policies; ++p) {
    const std::string name = "policy" + std::to_string(p);
    ScoreFile file{.name = name, .rows = {}};
    for (const Json& score : golden_case.at("scores")[p]) {
      file.rows.push_back({.prompt_id = std::to_string(file.rows.size()),
                           .policy = name,
                           .score = score.get<float>(),
                           .error = {}});
    }
    files.push_back(std::move(file));
    ratings.push_back(make_rating(name, golden_case["ratings"][p].get<double>()));
  }
  const auto table = make_table(files, files.back().name);
  std::vector<ArenaRating> in_order;
  for (const std::string& name : table.names()) {
    in_order.push_back(
        *std::find_if(ratings.begin(), ratings.end(),
                      [&](const ArenaRating& rating) { return rating.name == name; }));
  }
  SolveOptions options;
  options.mode = parse_mode("block:1000");
  options.solver = SolverKind::kAdam;
  options.bootstrap = 0;
  std::vector<double> offsets;
  for (options.seed = 0; options.seed < kSeeds; ++options.seed) {
    const auto result = solve(table, in_order, table.index_of(files.back().name), options);
    offsets.push_back(
        result.policies[table.index_of("policy" + std::to_string(policy))].offset.value);
  }
  return offsets;
}

// The start is random on both sides, so samples are compared: ours lie in the original's spread,
// and the two means differ by no more than sampling noise.
TEST(AdamGolden, EndsInsideTheOriginalsSpread) {
  const Json golden = Json::parse(
      read_file(fs::path(charm::test::kSourceDir) / "tests/data/golden/calibrate/adam.json"));
  for (const Json& golden_case : golden.at("cases")) {
    const std::size_t num_policies = golden_case.at("ratings").size();
    for (std::size_t policy = 0; policy + 1 < num_policies; ++policy) {
      std::vector<double> theirs;
      for (const Json& seed : golden_case.at("offsets_of_seeds")) {
        theirs.push_back(seed[policy].get<double>());
      }
      const auto ours = our_offsets(golden_case, policy);
      const double spread = stats::standard_deviation(theirs);
      const double error = std::hypot(spread, stats::standard_deviation(ours)) /
                           std::sqrt(static_cast<double>(kSeeds));
      EXPECT_NEAR(stats::mean(ours), stats::mean(theirs), 3.5 * error + 1e-4)
          << golden_case.at("name") << " policy " << policy;
      for (const double offset : ours) {
        EXPECT_NEAR(offset, stats::mean(theirs), 4.0 * spread + 1e-4)
            << golden_case.at("name") << " policy " << policy;
      }
    }
  }
}

}  // namespace
}  // namespace charm::calibrate
