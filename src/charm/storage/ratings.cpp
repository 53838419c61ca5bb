#include "charm/storage/ratings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kNameKeys = {"name", "model", "model_name"};
constexpr std::array kScoreKeys = {"score", "rating", "elo", "arena_score"};
constexpr std::array kIntervalKeys = {"ci", "arena_ci", "rating_ci95"};
constexpr std::array<std::pair<const char*, const char*>, 2> kIntervalEndKeys = {
    {{"rating_q025", "rating_q975"}, {"rating_lower", "rating_upper"}}};

[[noreturn]] void throw_battles(const fs::path& path) {
  throw Error(ErrorKind::kInput,
              "{}: holds battles (model_a, model_b, winner), not ratings; fit ratings with charm "
              "rate and give those",
              path.string());
}

double number_of(const Json& value, const fs::path& path, std::string_view where) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    throw Error(ErrorKind::kInput, "{}: {} is {}, expected a finite number of Elo points",
                path.string(), where, value.dump());
  }
  return value.get<double>();
}

const Json* find_score(const Json& object) {
  for (const char* key : kScoreKeys) {
    const auto place = object.find(key);
    if (place != object.end() && !place->is_null()) return &*place;
  }
  return nullptr;
}

bool has_interval_key(const Json& object, const char* key) {
  return object.contains(key) && !object.at(key).is_null();
}

// Sets the rating's interval from [lo, hi] or from the Arena catalogue's two quantiles.
void read_interval(const Json& object, ArenaRating& rating, const fs::path& path) {
  const std::string where = fmt::format("interval of '{}'", rating.name);
  for (const char* key : kIntervalKeys) {
    if (!has_interval_key(object, key)) continue;
    const Json& pair = object.at(key);
    if (!pair.is_array() || pair.size() != 2) {
      throw Error(ErrorKind::kInput, "{}: {} ('{}') is {}, expected [lo, hi]", path.string(), where,
                  key, pair.dump());
    }
    rating.rating_lo = number_of(pair[0], path, where);
    rating.rating_hi = number_of(pair[1], path, where);
  }
  for (const auto& [lo, hi] : kIntervalEndKeys) {
    if (!has_interval_key(object, lo) || !has_interval_key(object, hi)) continue;
    rating.rating_lo = number_of(object.at(lo), path, where);
    rating.rating_hi = number_of(object.at(hi), path, where);
  }
  if (rating.rating_lo && *rating.rating_lo > *rating.rating_hi) {
    throw Error(ErrorKind::kInput, "{}: {} is [{}, {}], expected the lower end first",
                path.string(), where, *rating.rating_lo, *rating.rating_hi);
  }
}

ArenaRating rating_of(std::string name, const Json& object, const fs::path& path,
                      std::string_view where) {
  const Json* score = find_score(object);
  if (score == nullptr) {
    throw Error(ErrorKind::kInput, "{}: {} ('{}') has no rating; expected one of {}", path.string(),
                where, name, fmt::join(kScoreKeys, ", "));
  }
  ArenaRating rating;
  rating.rating_elo = number_of(*score, path, fmt::format("rating of '{}'", name));
  rating.name = std::move(name);
  read_interval(object, rating, path);
  return rating;
}

ArenaRating rating_of_row(const Json& row, const fs::path& path, std::string_view where) {
  if (!row.is_object()) {
    throw Error(ErrorKind::kInput, "{}: {} is {}, expected an object with a name and a rating",
                path.string(), where, row.type_name());
  }
  if (row.contains("model_a") && row.contains("model_b")) throw_battles(path);
  for (const char* key : kNameKeys) {
    const auto name = row.find(key);
    if (name == row.end()) continue;
    if (!name->is_string()) {
      throw Error(ErrorKind::kInput, "{}: {}: '{}' is {}, expected text", path.string(), where, key,
                  name->dump());
    }
    return rating_of(name->get<std::string>(), row, path, where);
  }
  throw Error(ErrorKind::kInput, "{}: {} has no name; expected one of {}", path.string(), where,
              fmt::join(kNameKeys, ", "));
}

// {"name": number} or {"name": {"rating": ...}}
std::vector<ArenaRating> ratings_of_object(const Json& object, const fs::path& path) {
  std::vector<ArenaRating> ratings;
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      ratings.push_back(rating_of(name, value, path, "entry"));
    } else {
      ArenaRating rating;
      rating.name = name;
      rating.rating_elo = number_of(value, path, fmt::format("rating of '{}'", name));
      ratings.push_back(std::move(rating));
    }
  }
  return ratings;
}

// A catalogue nests two levels: its values are objects of objects, without a rating.
bool is_catalogue(const Json& object) {
  return std::all_of(object.begin(), object.end(), [](const Json& value) {
    return value.is_object() && !value.empty() && find_score(value) == nullptr &&
           std::all_of(value.begin(), value.end(),
                       [](const Json& entry) { return entry.is_object(); });
  });
}

// The requested category, or the only one.
std::string chosen_category(const std::vector<std::string>& categories, const std::string& wanted,
                            const fs::path& path) {
  if (wanted.empty()) {
    if (categories.size() == 1) return categories.front();
    throw Error(ErrorKind::kUsage, "{}: holds {} Arena categories ({}); choose one with --category",
                path.string(), categories.size(), fmt::join(categories, ", "));
  }
  if (std::find(categories.begin(), categories.end(), wanted) == categories.end()) {
    throw Error(ErrorKind::kUsage,
                "{}: has no Arena category '{}'; nearest names: {}; it has {} in all: {}",
                path.string(), wanted, fmt::join(nearest_names(wanted, categories), ", "),
                categories.size(), fmt::join(categories, ", "));
  }
  return wanted;
}

const Json& category_of(const Json& catalogue, const std::string& wanted, const fs::path& path) {
  std::vector<std::string> categories;
  for (const auto& [name, value] : catalogue.items()) categories.push_back(name);
  return catalogue.at(chosen_category(categories, wanted, path));
}

// The rows of one category if rows have a category, as in the leaderboard's tables; else all rows.
Json rows_of_category(const Json& rows, const std::string& wanted, const fs::path& path) {
  std::vector<std::string> categories;
  for (const Json& row : rows) {
    if (!row.is_object() || !row.contains("category") || !row.at("category").is_string()) continue;
    const auto& name = row.at("category").get_ref<const std::string&>();
    if (std::find(categories.begin(), categories.end(), name) == categories.end()) {
      categories.push_back(name);
    }
  }
  if (categories.empty()) {
    if (wanted.empty()) return rows;
    throw Error(ErrorKind::kUsage,
                "{}: is not an Arena catalogue, so category '{}' cannot be chosen", path.string(),
                wanted);
  }
  const std::string category = chosen_category(categories, wanted, path);
  Json chosen = Json::array();
  for (const Json& row : rows) {
    if (!row.is_object() || !row.contains("category") || row.at("category") == category) {
      chosen.push_back(row);
    }
  }
  return chosen;
}

std::vector<ArenaRating> ratings_of_json(const Json& json, const fs::path& path,
                                         const RatingsOptions& options) {
  if (json.is_object() && json.contains("model_a") && json.contains("model_b")) throw_battles(path);
  const bool nested = json.is_object() && !json.empty() && is_catalogue(json);
  if (!options.category.empty() && !nested && !json.is_array()) {
    throw Error(ErrorKind::kUsage,
                "{}: is not an Arena catalogue, so category '{}' cannot be chosen", path.string(),
                options.category);
  }
  if (nested) return ratings_of_object(category_of(json, options.category, path), path);
  // One row of JSONL looks like an object too.
  if (json.is_object() && find_score(json) != nullptr && !find_score(json)->is_object() &&
      std::any_of(kNameKeys.begin(), kNameKeys.end(), [&](const char* key) {
        return json.contains(key) && json.at(key).is_string();
      })) {
    return {rating_of_row(json, path, "row 1")};
  }
  if (json.is_object()) return ratings_of_object(json, path);
  if (!json.is_array()) {
    throw Error(ErrorKind::kInput, "{}: holds a JSON {}, expected an object or a list of ratings",
                path.string(), json.type_name());
  }
  const Json rows = rows_of_category(json, options.category, path);
  std::vector<ArenaRating> ratings;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    ratings.push_back(rating_of_row(rows[row], path, fmt::format("entry {}", row + 1)));
  }
  return ratings;
}

// JSON parsers keep the last of two equal keys; a rating given twice is an error.
Json parse_without_repeats(const std::string& text, const fs::path& path) {
  std::vector<std::set<std::string>> names;  // [depth] of the enclosing objects
  return Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
    const auto level = static_cast<std::size_t>(depth);
    if (event == Json::parse_event_t::object_start) {
      names.resize(level + 1);
      names.push_back({});
    }
    if (event == Json::parse_event_t::key &&
        !names.at(level).insert(parsed.get<std::string>()).second) {
      throw Error(ErrorKind::kInput, "{}: names '{}' twice; keep one", path.string(),
                  parsed.get<std::string>());
    }
    return true;
  });
}

// JSON or JSONL: parsed as one JSON value first, then line by line.
std::vector<ArenaRating> ratings_of_text(const std::string& text, const fs::path& path,
                                         const RatingsOptions& options) {
  if (nests_deeper_than(text, kMaxJsonDepth)) {
    throw Error(ErrorKind::kInput, "{}: brackets nest deeper than {} levels: no ratings file",
                path.string(), kMaxJsonDepth);
  }
  std::string failure;
  try {
    return ratings_of_json(parse_without_repeats(text, path), path, options);
  } catch (const Json::exception& error) {
    failure = error.what();
  }
  std::vector<ArenaRating> ratings;
  Json rows = Json::array();
  bool has_categories = !options.category.empty();
  std::size_t line_number = 0;
  for (std::size_t first = 0; first < text.size();) {
    const std::size_t end = std::min(text.find('\n', first), text.size());
    const std::string_view line(text.data() + first, end - first);
    first = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object()) {
      throw Error(ErrorKind::kInput, "{}:{}: is neither JSON nor a line of JSON: {}", path.string(),
                  line_number, failure);
    }
    ratings.push_back(rating_of_row(row, path, fmt::format("line {}", line_number)));
    has_categories |= row.contains("category");
    rows.push_back(row);
  }
  return has_categories ? ratings_of_json(rows, path, options) : ratings;
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

}  // namespace

std::vector<ArenaRating> read_ratings(const fs::path& path, const RatingsOptions& options) {
  const std::string text = read_file(path);
  if (text.starts_with("PAR1") || text.starts_with("ARROW1")) {
    throw Error(ErrorKind::kInput,
                "{}: is Parquet or Arrow; write ratings as JSON, JSON lines or CSV", path.string());
  }
  if (text.starts_with("\x1f\x8b"))
    throw Error(ErrorKind::kInput, "{}: is packed by gzip; unpack ratings first", path.string());
  if (const auto invalid = find_invalid_utf8(text)) {
    throw Error(ErrorKind::kInput, "{}: byte {} is not valid UTF-8", path.string(), *invalid);
  }
  const std::string extension = lower_ascii(path.extension().string());
  const bool is_csv = extension == ".csv" || extension == ".tsv";
  std::vector<ArenaRating> ratings;
  if (is_csv) {
    const Json rows = csv_rows(text, extension == ".tsv" ? '\t' : ',', path);
    ratings = ratings_of_json(rows, path, options);
  } else {
    ratings = ratings_of_text(text, path, options);
  }
  check_names(ratings, path);
  return ratings;
}

}  // namespace charm::storage
