// Times calibration on synthetic scores and prints one JSON object. No Google Benchmark: each
// number is one cold call, the best of a few repetitions.
//
//   calibrate_bench [--prompts N] [--policies P] [--bootstrap B] [--threads T] [--modes MODE,...]
//                   [--distinct D] [--dump FILE]
//
// Defaults: 20,000 prompts, 2 policies, 1,000 resamples (0: none), all processors, same-prompt,
// all-pairs and block:1000. --distinct repeats the same D prompts until there are N, so that a sum
// over all pairs of N rows has the value of one over D rows, which is then also taken directly
// (`offset_error`). --dump writes the scores, float32, policy after policy.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/parallel.h"
#include "charm/base/random.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/score.h"
#include "charm/stats/paired_scores.h"

namespace {

using charm::calibrate::Calibration;
using charm::calibrate::SolveOptions;
using Json = nlohmann::ordered_json;

charm::ScoreFile make_scores(const std::string& policy, std::size_t num_prompts,
                             std::size_t num_distinct, double mean) {
  charm::RandomStream prompts(1, "prompt effects");
  charm::RandomStream own(1, policy);
  charm::ScoreFile file{.name = policy, .rows = {}};
  // Standard deviations of a typical 8B reward model: prompts 6, policies 4 score units.
  for (std::size_t p = 0; p < num_prompts; ++p) {
    const float score = p < num_distinct
                            ? static_cast<float>(mean + 6.0 * prompts.normal() + 4.0 * own.normal())
                            : file.rows[p - num_distinct].score;
    file.rows.push_back({.prompt_id = "p" + std::to_string(p),
                         .policy = policy,
                         .sample = 0,
                         .score = score,
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

struct BenchOptions {
  std::size_t prompts = 20000;
  std::size_t distinct = 0;  // 0: all
  std::size_t policies = 2;
  std::int64_t bootstrap = 1000;
  std::size_t threads = 0;
  std::vector<std::string> modes = {"same-prompt", "all-pairs", "block:1000"};
  std::string dump;
};

BenchOptions parse(int argc, char** argv) {
  BenchOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--prompts") {
      options.prompts = std::stoull(value);
    } else if (name == "--distinct") {
      options.distinct = std::stoull(value);
    } else if (name == "--policies") {
      options.policies = std::stoull(value);
    } else if (name == "--bootstrap") {
      options.bootstrap = std::stoll(value);
    } else if (name == "--threads") {
      options.threads = std::stoull(value);
    } else if (name == "--dump") {
      options.dump = value;
    } else if (name == "--modes") {
      options.modes.clear();
      std::stringstream words(value);
      for (std::string word; std::getline(words, word, ',');) options.modes.push_back(word);
    } else {
      throw charm::Error(charm::ErrorKind::kUsage, "unknown option {}", name);
    }
  }
  if (argc % 2 == 0)
    throw charm::Error(charm::ErrorKind::kUsage, "{} has no value", argv[argc - 1]);
  if (options.distinct == 0) options.distinct = options.prompts;
  return options;
}

// The root of the all-pairs win rate by bisection on its definition, in long double.
double direct_root(const charm::stats::PairRows& rows, std::size_t num_distinct, double target,
                   double temperature) {
  const auto rate = [&](long double offset) {
    long double sum = 0.0L;
    for (std::size_t i = 0; i < num_distinct; ++i) {
      for (std::size_t j = 0; j < num_distinct; ++j) {
        const long double z = (rows.over[i] + offset - rows.ref[j]) / temperature;
        sum += 1.0L / (1.0L + std::exp(-z));
      }
    }
    return sum / (static_cast<long double>(num_distinct) * static_cast<long double>(num_distinct));
  };
  long double lo = -100.0L;
  long double hi = 100.0L;
  for (int step = 0; step < 60; ++step) {
    const long double middle = 0.5L * (lo + hi);
    (rate(middle) < target ? lo : hi) = middle;
  }
  return static_cast<double>(0.5L * (lo + hi));
}

int run(int argc, char** argv) {
  const BenchOptions bench = parse(argc, argv);
  std::vector<charm::ScoreFile> files;
  std::vector<charm::ArenaRating> ratings;
  for (std::size_t p = 0; p < bench.policies; ++p) {
    const bool is_reference = p + 1 == bench.policies;
    const std::string name = is_reference ? "reference" : "policy " + std::to_string(p);
    const double mean = is_reference ? 0.0 : 2.0 - 0.3 * static_cast<double>(p);
    files.push_back(make_scores(name, bench.prompts, bench.distinct, mean));
    ratings.push_back(rating(name, is_reference ? 1248.0 : 1216.0 + 3.0 * static_cast<double>(p)));
  }
  if (!bench.dump.empty()) {
    std::ofstream out(bench.dump, std::ios::binary);
    for (const charm::ScoreFile& file : files) {
      for (const charm::Score& row : file.rows)
        out.write(reinterpret_cast<const char*>(&row.score), sizeof row.score);
    }
  }
  Json result = {{"bench", "calibrate"},
                 {"num_prompts", bench.prompts},
                 {"policies", bench.policies},
                 {"threads", bench.threads == 0 ? charm::available_processors() : bench.threads}};
  const auto join = [&] {
    return charm::stats::PairedScores(
        files, {.first_policy = "reference", .min_prompts = 30, .strict = false, .policies = {}});
  };
  const int repetitions = bench.prompts > 100000 || bench.policies > 2 ? 1 : 5;
  result["join_ms"] = best_ms(std::min(repetitions, 3), [&] { join(); });
  const auto table = join();
  std::vector<charm::ArenaRating> in_order;
  for (const std::string& name : table.names()) {
    for (const charm::ArenaRating& one : ratings) {
      if (one.name == name) in_order.push_back(one);
    }
  }
  for (const std::string& mode : bench.modes) {
    SolveOptions options;
    options.mode = charm::calibrate::parse_mode(mode);
    options.num_threads = bench.threads;
    options.bootstrap = 0;
    Calibration calibration;
    const auto solve = [&] {
      calibration = charm::calibrate::solve(table, in_order, table.index_of("reference"), options);
    };
    Json numbers = {{"solve_ms", best_ms(repetitions, solve)}};
    if (bench.bootstrap > 0) {
      options.bootstrap = bench.bootstrap;
      numbers["bootstrap"] = bench.bootstrap;
      numbers["with_bootstrap_ms"] = best_ms(1, solve);
    }
    numbers["offset"] = calibration.policies[0].offset.value;
    numbers["residual"] = calibration.pairs[0].residual;
    if (mode == "all-pairs" && bench.policies == 2 && bench.distinct <= 5000) {
      const auto rows = table.pair(table.index_of("policy 0"), table.index_of("reference"));
      numbers["offset_error"] =
          std::abs(calibration.policies[0].offset.value -
                   direct_root(rows, bench.distinct, calibration.pairs[0].target.value,
                               options.temperature));
    }
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
