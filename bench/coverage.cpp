// How often 95 % intervals hold the truth, on made-up data whose truth is known.
//
//     coverage [data sets] [resamples] [prompts ...]
//
// Two policies' scores share a prompt effect; their difference has a planted shift. The ratings
// that a data set sees are drawn around the true ones. The truth of an offset is that of the whole
// population: the offset at which the win rate of infinitely many prompts, scored in the same type,
// meets the true target. Prints one JSON object a line: world, prompts, method, quantity, coverage,
// mean width.

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/step_curve.h"
#include "charm/stats/elo.h"

namespace {

using namespace charm;

constexpr double kShift = 0.6;  // of the over-valued policy's scores
constexpr double kRatingOver = 1216;
constexpr double kRatingRef = 1248;
constexpr double kRatingSe = 4.0;  // Elo points, of each rating

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

struct Pair {
  float over;
  float ref;
};

Pair draw(const World& world, RandomStream& stream) {
  const double shared = (world.is_bfloat16 ? 10.0 : 0.0) + world.prompt_effect * stream.normal();
  const auto score = [&](double mean) {
    const auto value = static_cast<float>(mean + world.noise * student(world.degrees, stream));
    return world.is_bfloat16 ? to_bfloat16(value) : value;
  };
  const float over = score(shared + kShift);
  return {over, score(shared)};
}

// Truth by a population large enough that its own error (a thirtieth of the standard error of 5,000
// prompts) does not matter.
struct Truth {
  double offset;
  double win_rate;
  double mismatch;
};

Truth truth_of(const World& world) {
  constexpr std::size_t kPopulation = 4'000'000;
  RandomStream stream(1, "population");
  std::vector<double> over;
  std::vector<double> ref;
  double wins = 0.0;
  for (std::size_t i = 0; i < kPopulation; ++i) {
    const Pair pair = draw(world, stream);
    over.push_back(pair.over);
    ref.push_back(pair.ref);
    wins += pair.over > pair.ref ? 1.0 : 0.0;
  }
  const calibrate::SortedDifferences differences(over, ref, stats::TieRule::kLoss);
  const double target = stats::target_win_rate(kRatingOver, kRatingRef);
  const double win_rate = wins / static_cast<double>(kPopulation);
  return {differences.curve().best_plateau(target).plateau->offset, win_rate,
          stats::mismatch_degree(win_rate, target)};
}

struct Tally {
  double covered = 0.0;
  double width = 0.0;
  void add(const std::optional<stats::Interval>& interval, double truth) {
    covered += interval->lo <= truth && truth <= interval->hi ? 1.0 : 0.0;
    width += interval->hi - interval->lo;
  }
};

void run(const World& world, const Truth& truth, std::size_t num_prompts, std::size_t num_sets,
         std::int64_t resamples) {
  for (const auto kind :
       {calibrate::IntervalKind::kBootstrap, calibrate::IntervalKind::kInfluence}) {
    Tally offset;
    Tally win_rate;
    Tally mismatch;
    for (std::size_t set = 0; set < num_sets; ++set) {
      RandomStream stream(set, world.name, num_prompts);
      ScoreFile over{.name = "over", .rows = {}};
      ScoreFile ref{.name = "ref", .rows = {}};
      for (std::size_t p = 0; p < num_prompts; ++p) {
        const Pair pair = draw(world, stream);
        const std::string id = std::to_string(p);
        over.rows.push_back({.prompt_id = id, .policy = "over", .score = pair.over, .error = {}});
        ref.rows.push_back({.prompt_id = id, .policy = "ref", .score = pair.ref, .error = {}});
      }
      const auto rating = [&](const char* name, double elo) {
        const double seen = elo + kRatingSe * stream.normal();
        return ArenaRating{.name = name,
                           .rating_elo = seen,
                           .rating_lo = seen - 1.96 * kRatingSe,
                           .rating_hi = seen + 1.96 * kRatingSe};
      };
      const std::vector ratings{rating("over", kRatingOver), rating("ref", kRatingRef)};
      const stats::PairedScores scores(
          std::vector{over, ref},
          {.first_policy = "ref", .min_prompts = 30, .strict = false, .policies = {}});
      calibrate::SolveOptions options;
      options.interval = kind;
      options.bootstrap = resamples;
      options.seed = set;
      options.num_threads = 1;
      // Policies stand in the order of the files' first rows; "ref" may come first.
      std::vector<ArenaRating> in_order;
      for (const std::string& name : scores.names()) {
        in_order.push_back(name == "over" ? ratings[0] : ratings[1]);
      }
      const auto result = calibrate::solve(scores, in_order, scores.index_of("ref"), options);
      offset.add(result.policies[scores.index_of("over")].offset_ci95, truth.offset);
      win_rate.add(result.pairs[0].win_rate_before_ci95, truth.win_rate);
      mismatch.add(result.pairs[0].mismatch_before_ci95, truth.mismatch);
    }
    const auto print = [&](const char* quantity, const Tally& tally) {
      const auto sets = static_cast<double>(num_sets);
      fmt::print(
          "{{\"world\": \"{}\", \"prompts\": {}, \"method\": \"{}\", \"quantity\": \"{}\", "
          "\"coverage\": {:.3f}, \"width\": {:.4f}}}\n",
          world.name, num_prompts, calibrate::interval_name(kind), quantity, tally.covered / sets,
          tally.width / sets);
    };
    print("offset", offset);
    print("win rate", win_rate);
    print("mismatch degree", mismatch);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t num_sets = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1000;
  const std::int64_t resamples = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 1000;
  std::vector<std::size_t> sizes;
  for (int i = 3; i < argc; ++i) sizes.push_back(std::strtoul(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {100, 300, 1000, 5000};
  for (const World& world : kWorlds) {
    const Truth truth = truth_of(world);
    for (const std::size_t size : sizes) run(world, truth, size, num_sets, resamples);
  }
}
