// Coverage of 95 % intervals on synthetic data with known truth.
//
//     coverage [same-prompt|joint|all-pairs|block:1000|all] [data sets] [resamples] [prompts ...]
//
// Policies' scores share a prompt effect; their differences have planted shifts. A data set's
// ratings are drawn around the true ones. The truth is the calibration of a population of a million
// prompts, scored in the same dtype, under the true ratings. joint: four policies, of which three
// get an offset (all count); otherwise two. Prints one JSON object a line: setting, world, prompts,
// method, quantity, coverage, mean width.

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/random.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/score.h"
#include "charm/stats/paired_scores.h"

namespace {

using namespace charm;

// The first is compared with the second where there are two.
struct Policy {
  const char* name;
  double shift;       // of its scores
  double rating_elo;  // the true one
};
const std::vector<Policy> kPolicies = {
    {"over", 0.6, 1216}, {"ref", 0.0, 1248}, {"under", -0.4, 1230}, {"weak", -0.5, 1100}};
constexpr const char* kReference = "ref";
constexpr double kRatingSe = 4.0;  // Elo points, of each rating

struct Setting {
  const char* name;
  const char* mode;
  std::size_t num_policies;
};
const std::vector<Setting> kSettings = {{"same-prompt", "same-prompt", 2},
                                        {"joint", "same-prompt", 4},
                                        {"all-pairs", "all-pairs", 2},
                                        {"block:1000", "block:1000", 2}};

struct World {
  const char* name;
  double prompt_effect;  // standard deviation shared by both policies
  double noise;          // scale of each policy's own noise
  double degrees;        // of Student's t; 0: normal
  bool is_bfloat16;
};

const std::vector<World> kWorlds = {
    {"normal", 0.7, 1.0, 0.0, false},
    {"strong prompt effects", 5.0, 1.0, 0.0, false},
    {"bf16 scores around 10", 2.0, 1.0, 0.0, true},
    {"heavy tails (t, 2 degrees)", 0.7, 0.7, 2.0, false},
};

double student(double degrees, RandomStream& stream) {
  if (degrees == 0.0) return stream.normal();
  double chi = 0.0;
  for (int i = 0; i < static_cast<int>(degrees); ++i) {
    const double z = stream.normal();
    chi += z * z;
  }
  return stream.normal() / std::sqrt(chi / degrees);
}

// Rounded to bfloat16, ties to even.
float to_bfloat16(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits += 0x7FFF + ((bits >> 16) & 1);
  bits &= 0xFFFF0000;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

/// Scores of the first policies to one prompt.
std::vector<float> draw(const World& world, std::size_t num_policies, RandomStream& stream) {
  const double shared = (world.is_bfloat16 ? 10.0 : 0.0) + world.prompt_effect * stream.normal();
  std::vector<float> scores;
  for (std::size_t p = 0; p < num_policies; ++p) {
    const double mean = shared + kPolicies[p].shift;
    const auto value = static_cast<float>(mean + world.noise * student(world.degrees, stream));
    scores.push_back(world.is_bfloat16 ? to_bfloat16(value) : value);
  }
  return scores;
}

stats::PairedScores draw_scores(const World& world, std::size_t num_policies,
                                std::size_t num_prompts, RandomStream& stream) {
  std::vector<ScoreFile> files;
  for (std::size_t p = 0; p < num_policies; ++p) {
    files.push_back({.name = kPolicies[p].name, .rows = {}});
    files.back().rows.reserve(num_prompts);
  }
  for (std::size_t n = 0; n < num_prompts; ++n) {
    const std::vector<float> scores = draw(world, num_policies, stream);
    for (std::size_t p = 0; p < num_policies; ++p) {
      files[p].rows.push_back({.prompt_id = std::to_string(n),
                               .policy = kPolicies[p].name,
                               .score = scores[p],
                               .error = {}});
    }
  }
  return stats::PairedScores(
      files, {.first_policy = kReference, .min_prompts = 30, .strict = false, .policies = {}});
}

/// In the scores' order. `stream`: draws a data set's ratings; none: the true ones.
std::vector<ArenaRating> ratings_of(const stats::PairedScores& scores, RandomStream* stream) {
  std::vector<ArenaRating> ratings;
  for (const std::string& name : scores.names()) {
    for (const Policy& policy : kPolicies) {
      if (name != policy.name) continue;
      const double seen =
          policy.rating_elo + (stream != nullptr ? kRatingSe * stream->normal() : 0.0);
      ratings.push_back({.name = name,
                         .rating_elo = seen,
                         .rating_lo = seen - 1.96 * kRatingSe,
                         .rating_hi = seen + 1.96 * kRatingSe});
    }
  }
  return ratings;
}

calibrate::SolveOptions options_of(const Setting& setting) {
  calibrate::SolveOptions options;
  options.mode = calibrate::parse_mode(setting.mode);
  options.num_threads = 1;
  return options;
}

/// Its own error, a fourteenth of the standard error of 5,000 prompts, is negligible.
calibrate::Calibration truth_of(const Setting& setting, const World& world) {
  RandomStream stream(1, "population");
  const auto scores = draw_scores(world, setting.num_policies, 1'000'000, stream);
  calibrate::SolveOptions options = options_of(setting);
  options.bootstrap = 0;
  return calibrate::solve(scores, ratings_of(scores, nullptr), scores.index_of(kReference),
                          options);
}

struct Tally {
  double count = 0.0;
  double covered = 0.0;
  double width = 0.0;
  void add(const std::optional<stats::Interval>& interval, double truth) {
    count += 1.0;
    covered += interval->lo <= truth && truth <= interval->hi ? 1.0 : 0.0;
    width += interval->hi - interval->lo;
  }
};

void run(const Setting& setting, const World& world, const calibrate::Calibration& truth,
         std::size_t num_prompts, std::size_t num_sets, std::int64_t resamples) {
  Tally offset;
  Tally win_rate;
  Tally mismatch;
  for (std::size_t set = 0; set < num_sets; ++set) {
    RandomStream stream(set, world.name, num_prompts);
    const auto scores = draw_scores(world, setting.num_policies, num_prompts, stream);
    calibrate::SolveOptions options = options_of(setting);
    options.bootstrap = resamples;
    options.seed = set;
    const std::size_t reference = scores.index_of(kReference);
    const auto result = calibrate::solve(scores, ratings_of(scores, &stream), reference, options);
    for (std::size_t p = 0; p < result.policies.size(); ++p) {
      if (p == reference) continue;
      offset.add(result.policies[p].offset.ci95, truth.policies[p].offset.value);
    }
    for (std::size_t p = 0; p < result.pairs.size(); ++p) {
      win_rate.add(result.pairs[p].before.win_rate.ci95, truth.pairs[p].before.win_rate.value);
      mismatch.add(result.pairs[p].before.mismatch.ci95, truth.pairs[p].before.mismatch.value);
    }
  }
  const auto print = [&](const char* quantity, const Tally& tally) {
    fmt::print(
        "{{\"setting\": \"{}\", \"world\": \"{}\", \"prompts\": {}, \"method\": \"bootstrap\", "
        "\"quantity\": \"{}\", \"coverage\": {:.3f}, \"width\": {:.4f}}}\n",
        setting.name, world.name, num_prompts, quantity, tally.covered / tally.count,
        tally.width / tally.count);
  };
  print("offset", offset);
  print("win rate", win_rate);
  print("mismatch degree", mismatch);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view chosen = argc > 1 ? argv[1] : "all";
  const std::size_t num_sets = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1000;
  const std::int64_t resamples = argc > 3 ? std::strtol(argv[3], nullptr, 10) : 1000;
  std::vector<std::size_t> sizes;
  for (int i = 4; i < argc; ++i) sizes.push_back(std::strtoul(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {100, 300, 1000, 5000};
  for (const Setting& setting : kSettings) {
    if (chosen != "all" && chosen != setting.name) continue;
    for (const World& world : kWorlds) {
      const calibrate::Calibration truth = truth_of(setting, world);
      for (const std::size_t size : sizes) run(setting, world, truth, size, num_sets, resamples);
    }
  }
}
