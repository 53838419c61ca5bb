#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/strings.h"
#include "charm/storage/ratings.h"

namespace charm::storage {
namespace {

const ArenaRating* find_rating(std::string_view name, std::span<const ArenaRating> ratings,
                               const fs::path& path) {
  for (const ArenaRating& rating : ratings) {
    if (rating.name == name) return &rating;
  }
  const std::string wanted = lower_ascii(name);
  const ArenaRating* found = nullptr;
  for (const ArenaRating& rating : ratings) {
    if (lower_ascii(rating.name) != wanted) continue;
    if (found != nullptr && found->name != rating.name) {
      throw Error(
          ErrorKind::kInput,
          "{}: '{}' matches both '{}' and '{}' without regard to case; choose one with --alias",
          path.string(), name, found->name, rating.name);
    }
    found = &rating;
  }
  return found;
}

void check_names(const std::vector<ArenaRating>& ratings, const fs::path& path) {
  if (ratings.empty()) throw Error(ErrorKind::kInput, "{}: holds no rating", path.string());
  std::map<std::string, double> seen;
  for (const ArenaRating& rating : ratings) {
    const auto [place, is_new] = seen.try_emplace(rating.name, rating.rating_elo);
    if (!is_new && place->second != rating.rating_elo) {
      throw Error(ErrorKind::kInput, "{}: rates '{}' twice, {} and {}; keep one", path.string(),
                  rating.name, place->second, rating.rating_elo);
    }
  }
}

// Win rates, scores of benchmarks and log odds are no Elo points: their expected win rates would
// all be near one half. Two models may be close, so a small spread alone is no error.
void check_scale(const std::vector<ArenaRating>& ratings, const fs::path& path) {
  constexpr double kSmallestSpread = 2.0;  // Elo points: a win rate of 0.503
  constexpr double kSmallestElo = 100.0;
  constexpr std::size_t kManyRatings = 5;
  std::set<double> values;
  for (const ArenaRating& rating : ratings) values.insert(rating.rating_elo);
  if (values.size() < 2) return;
  const double low = *values.begin();
  const double high = *values.rbegin();
  const bool are_small = std::max(std::abs(low), std::abs(high)) < kSmallestElo;
  if (low > 0.0 && high <= kSmallestElo && high - low >= kSmallestSpread) {
    log::warning(
        "{}: all ratings lie between 0 and 100; if these are percentages of a benchmark and not "
        "Elo "
        "points, the targets are wrong",
        path.string());
  }
  if (high - low >= kSmallestSpread || (!are_small && values.size() < kManyRatings)) return;
  throw Error(
      ErrorKind::kInput,
      "{}: the {} ratings lie between {} and {}, too close for Elo points{}; Elo ratings of "
      "chat models are numbers like 1114 and 1257, 400 points a factor of 10 in the odds: "
      "take them from the Arena (lmarena-ai/leaderboard-dataset), or fit them to votes with "
      "charm rate",
      path.string(), ratings.size(), low, high, low >= 0.0 && high <= 1.0 ? " (win rates?)" : "");
}

}  // namespace

std::vector<ArenaRating> match_ratings(std::span<const std::string> policies,
                                       std::span<const ArenaRating> ratings, const Aliases& aliases,
                                       const fs::path& path) {
  std::vector<std::string> names;
  for (const ArenaRating& rating : ratings) names.push_back(rating.name);
  std::vector<ArenaRating> matched;
  std::vector<const ArenaRating*> taken;  // [policy matched so far]
  for (const std::string& policy : policies) {
    const auto alias = aliases.find(policy);
    const std::string& name = alias == aliases.end() ? policy : alias->second;
    const ArenaRating* rating = find_rating(name, ratings, path);
    if (rating == nullptr) {
      throw Error(
          alias == aliases.end() ? ErrorKind::kInput : ErrorKind::kUsage,
          "{}: no rating for policy '{}'{}; nearest names: {}; map it with --alias '{}=NAME'",
          path.string(), policy,
          alias == aliases.end() ? "" : fmt::format(" under its alias '{}'", name),
          fmt::join(nearest_names(name, names), ", "), policy);
    }
    // Names that differ in case only are more likely one policy misspelled than two policies.
    for (std::size_t p = 0; p < matched.size(); ++p) {
      if (taken[p] != rating || aliases.contains(policy) || aliases.contains(policies[p])) continue;
      throw Error(ErrorKind::kInput,
                  "{}: policies '{}' and '{}' would both take the rating of '{}', as their names "
                  "differ in case alone; if they are two policies, map one with --alias '{}=NAME'",
                  path.string(), policies[p], policy, rating->name, policy);
    }
    taken.push_back(rating);
    matched.push_back(*rating);
    matched.back().name = policy;
  }
  return matched;
}

void warn_about_aliases(const Aliases& aliases, std::span<const std::string> policies) {
  for (const auto& [policy, rating] : aliases) {
    if (std::find(policies.begin(), policies.end(), policy) == policies.end()) {
      log::warning("alias {}={}: no policy is called '{}'", policy, rating, policy);
    }
  }
}

void check_ratings(const std::vector<ArenaRating>& ratings, const fs::path& path) {
  check_names(ratings, path);
  check_scale(ratings, path);
}

}  // namespace charm::storage
