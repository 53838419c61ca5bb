// Times the calibration of two policies on made-up scores and prints one JSON object. No Google
// Benchmark: each number is one cold call, as a user meets it, the best of a few repetitions.
//
//   calibrate_bench [num_prompts = 20000] [bootstrap = 1000] [threads = 0: all]

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "charm/base/error.h"
#include "charm/base/parallel.h"
#include "charm/base/random.h"
#include "charm/calibrate/calibration.h"
#include "charm/stats/paired_scores.h"

namespace {

using charm::calibrate::Calibration;
using charm::calibrate::SolveOptions;
using Json = nlohmann::ordered_json;

charm::ScoreFile make_scores(const std::string& policy, std::size_t num_prompts,
                                    double mean) {
  charm::RandomStream prompts(1, "prompt effects");
  charm::RandomStream own(1, policy);
  charm::ScoreFile file{.name = policy, .rows = {}};
  // Spread as of a typical 8B reward model: prompts 6, policies 4 score units.
  for (std::size_t p = 0; p < num_prompts; ++p) {
    file.rows.push_back(
        {.prompt_id = "p" + std::to_string(p),
         .policy = policy,
         .sample = 0,
         .score = static_cast<float>(mean + 6.0 * prompts.normal() + 4.0 * own.normal()),
         .error = {}});
  }
  return file;
}

double best_ms(int repetitions, const std::function<void()>& body) {
  double best = 1e300;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return best;
}

charm::ArenaRating rating(const std::string& name, double elo) {
  return {.name = name, .rating_elo = elo, .rating_lo = elo - 5.0, .rating_hi = elo + 5.0};
}

int run(int argc, char** argv) {
  const std::size_t num_prompts = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
  const std::int64_t bootstrap = argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 1000;
  const std::size_t threads = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;

  const std::vector<charm::ScoreFile> files = {make_scores("over", num_prompts, 2.0),
                                                      make_scores("reference", num_prompts, 0.0)};
  const std::vector<charm::ArenaRating> ratings = {rating("over", 1216), rating("reference", 1248)};
  Json result = {{"bench", "calibrate"},
                 {"num_prompts", num_prompts},
                 {"policies", 2},
                 {"threads", threads == 0 ? charm::available_processors() : threads}};
  const auto join = [&] {
    return charm::stats::PairedScores(
        files, {.first_policy = "reference", .min_prompts = 30, .strict = false, .policies = {}});
  };
  result["join_ms"] = best_ms(3, [&] { join(); });
  const auto table = join();
  for (const char* mode : {"same-prompt", "all-pairs", "block:1000"}) {
    SolveOptions options;
    options.mode = charm::calibrate::parse_mode(mode);
    options.num_threads = threads;
    options.bootstrap = 0;
    Calibration calibration;
    const auto solve = [&] {
      calibration = charm::calibrate::solve(table, ratings, table.index_of("reference"), options);
    };
    Json numbers = {{"solve_ms", best_ms(5, solve)}};
    options.bootstrap = bootstrap;
    numbers["bootstrap"] = bootstrap;
    numbers["with_bootstrap_ms"] = best_ms(1, solve);
    numbers["offset"] = calibration.policies[0].offset;
    numbers["residual"] = calibration.pairs[0].residual;
    result["modes"][mode] = std::move(numbers);
  }
  std::printf("%s\n", result.dump(2).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const charm::Error& error) {
    std::fprintf(stderr, "calibrate_bench: %s\n", error.what());
    return error.exit_code();
  }
}
