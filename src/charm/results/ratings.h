#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "charm/results/estimate.h"

namespace charm::results {

class Fields;

/// An entry of the ratings file of `charm rate`.
struct ModelRating {
  std::string model;
  double rating_elo = 0.0;
  Interval rating_ci95;
  double rating_se = 0.0;  ///< Elo points, around the mean of all models
  std::int64_t num_battles = 0;
};

/// The file: a list, in the order given.
nlohmann::ordered_json to_json(std::span<const ModelRating> ratings);

/// Whether an entry of a ratings file is one of `charm rate`: it has all its members.
bool is_model_rating(const nlohmann::ordered_json& entry);
ModelRating read_model_rating(const Fields& fields);

}  // namespace charm::results
