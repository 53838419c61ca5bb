#include "charm/results/ratings.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "charm/results/fields.h"

namespace charm::results {

using Json = nlohmann::ordered_json;

Json to_json(std::span<const ModelRating> ratings) {
  Json json = Json::array();
  for (const ModelRating& one : ratings) {
    json.push_back({{"name", one.model},
                    {"rating", one.rating_elo},
                    {"rating_ci95", interval_json(one.rating_ci95)},
                    {"rating_se", one.rating_se},
                    {"num_battles", one.num_battles}});
  }
  return json;
}

bool is_model_rating(const Json& entry) {
  constexpr std::array kMembers = {"name", "rating", "rating_ci95", "rating_se", "num_battles"};
  return std::ranges::all_of(kMembers, [&](const char* name) { return entry.contains(name); }) &&
         entry["rating_ci95"].is_array();
}

ModelRating read_model_rating(const Fields& fields) {
  return {.model = fields.at<std::string>("name"),
          .rating_elo = fields.at<double>("rating"),
          .rating_ci95 = fields.at<Interval>("rating_ci95"),
          .rating_se = fields.find_or<double>("rating_se"),
          .num_battles = fields.find_or<std::int64_t>("num_battles")};
}

}  // namespace charm::results
