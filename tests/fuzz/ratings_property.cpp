#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/storage/ratings.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

nlohmann::ordered_json as_json(const std::vector<ArenaRating>& ratings) {
  auto list = nlohmann::ordered_json::array();
  for (const ArenaRating& rating : ratings) {
    require(std::isfinite(rating.rating_elo), "a rating is a number");
    list.push_back({{"name", rating.name}, {"rating", rating.rating_elo}});
    if (!rating.rating_lo || !rating.rating_hi) continue;
    require(*rating.rating_lo <= *rating.rating_hi, "an interval has its ends in order");
    list.back()["ci"] = {*rating.rating_lo, *rating.rating_hi};
  }
  return list;
}

bool check_ratings(const std::filesystem::path& file) {
  std::vector<ArenaRating> ratings;
  if (!accepts([&] { ratings = storage::read_ratings(file); },
               {ErrorKind::kInput, ErrorKind::kUsage}))
    return false;
  const auto written = as_json(ratings);
  const auto again = as_json(storage::read_ratings(scratch_file("ratings.json", written.dump())));
  require(again == written, "JSON round trip");
  return true;
}

}  // namespace

bool ratings_property(std::string_view bytes) {
  bool accepted = check_ratings(scratch_file("ratings", bytes));
  accepted |= check_ratings(scratch_file("ratings.csv", bytes));
  const std::filesystem::path battles = scratch_file("battles.jsonl", bytes);
  for (const bool with_styles : {false, true}) {
    accepted |= accepts([&] {
      storage::for_each_battle(
          battles, {.max_bad_rows = 3}, {.with_styles = with_styles}, [](const Battle& battle) {
            require(battle.model_a != battle.model_b, "a battle has two models");
          });
    });
  }
  return accepted;
}

}  // namespace charm::fuzz
