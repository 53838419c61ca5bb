#include "charm/storage/ratings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/results/fields.h"
#include "charm/results/ratings.h"
#include "charm/storage/byte_stream.h"
#include "charm/storage/foreign_formats.h"
#include "charm/storage/row_reader.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

// Capitals: the tables of the Arena's site. competitors, ratings: arena-rank's results. 95_pct_ci:
// llm-leaderboard-csv, which publishes the site's tables.
constexpr std::array kNameKeys = {"name",        "model",      "model_name",
                                  "competitors", "competitor", "Model"};
constexpr std::array kScoreKeys = {"score",       "rating",    "elo",    "arena_score", "ratings",
                                   "Arena Score", "Arena Elo", "Rating", "Score"};
constexpr std::array kIntervalKeys = {"ci",     "arena_ci",  "rating_ci95",
                                      "95% CI", "95_pct_ci", "95% CI (\u00b1)"};
constexpr const char* kDateKey = "leaderboard_publish_date";
constexpr std::array<std::pair<const char*, const char*>, 2> kIntervalEndKeys = {
    {{"rating_q025", "rating_q975"}, {"rating_lower", "rating_upper"}}};

[[noreturn]] void throw_battles(const fs::path& path) {
  throw Error(ErrorKind::kInput,
              "{}: holds battles (model_a, model_b, winner), not ratings; fit ratings with charm "
              "rate and give those",
              path.string());
}

[[noreturn]] void throw_agent(const fs::path& path) {
  throw Error(
      ErrorKind::kInput,
      "{}: is the agent subset of the leaderboard dataset, whose scores are no Bradley-Terry "
      "ratings; use a subset with the column rating, as text or text_style_control",
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

// "+5/-4" and "\u00b15" around a rating, as the Arena's site writes intervals: {4, 5} and {5, 5}.
std::optional<std::pair<double, double>> parse_half_widths(std::string_view text) {
  constexpr std::string_view kPlusMinus = "\u00b1";
  std::optional<double> up, down;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '/' || text[at] == '(' || text[at] == ')') {
      ++at;
      continue;
    }
    const bool is_both = text.substr(at).starts_with(kPlusMinus);
    const bool is_up = is_both || text[at] == '+', is_down = is_both || text[at] == '-';
    if ((!is_up && !is_down) || (is_up && up) || (is_down && down)) return std::nullopt;
    double number = 0.0;
    const char* const first = text.data() + at + (is_both ? kPlusMinus.size() : 1);
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), number);
    if (error != std::errc() || !(number >= 0.0) || !std::isfinite(number)) return std::nullopt;
    if (is_up) up = number;
    if (is_down) down = number;
    at = static_cast<std::size_t>(end - text.data());
  }
  if (!up || !down) return std::nullopt;
  return std::pair(*down, *up);
}

// Sets the rating's interval from [lo, hi] or from the Arena catalogue's two quantiles.
void read_interval(const Json& object, ArenaRating& rating, const fs::path& path) {
  const std::string where = fmt::format("interval of '{}'", rating.name);
  for (const char* key : kIntervalKeys) {
    if (!has_interval_key(object, key)) continue;
    const Json& pair = object.at(key);
    const bool is_width = pair.is_number() && std::string_view(key).ends_with("(\u00b1)");
    if (pair.is_string() || is_width) {
      const auto widths =
          parse_half_widths(is_width ? "\u00b1" + pair.dump() : pair.get_ref<const std::string&>());
      if (!widths) {
        throw Error(ErrorKind::kInput, "{}: {} ('{}') is {}, expected [lo, hi] or \"+5/-4\"",
                    path.string(), where, key, pair.dump());
      }
      rating.rating_lo = rating.rating_elo - widths->first;
      rating.rating_hi = rating.rating_elo + widths->second;
      if (!std::isfinite(*rating.rating_lo) || !std::isfinite(*rating.rating_hi)) {
        throw Error(ErrorKind::kInput, "{}: {} ('{}') is out of range: {}", path.string(), where,
                    key, pair.dump());
      }
      continue;
    }
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
}

void check_interval(const ArenaRating& rating, const fs::path& path) {
  if (!rating.rating_lo || *rating.rating_lo <= *rating.rating_hi) return;
  throw Error(ErrorKind::kInput, "{}: interval of '{}' is [{}, {}], expected the lower end first",
              path.string(), rating.name, *rating.rating_lo, *rating.rating_hi);
}

// An entry that `charm rate` wrote.
ArenaRating own_rating(const Json& entry, const fs::path& path, std::string_view where) {
  const results::ModelRating read = results::read_model_rating(
      results::Fields(entry, fmt::format("{}: {}", path.string(), where), "charm rate"));
  ArenaRating rating{.name = read.model,
                     .rating_elo = read.rating_elo,
                     .rating_lo = read.rating_ci95.lo,
                     .rating_hi = read.rating_ci95.hi};
  check_interval(rating, path);
  return rating;
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
  check_interval(rating, path);
  return rating;
}

ArenaRating rating_of_row(const Json& row, const fs::path& path, std::string_view where) {
  if (!row.is_object()) {
    throw Error(ErrorKind::kInput, "{}: {} is {}, expected an object with a name and a rating",
                path.string(), where, row.type_name());
  }
  if (row.contains("model_a") && row.contains("model_b")) throw_battles(path);
  if (results::is_model_rating(row)) return own_rating(row, path, where);
  if (!row.contains("rating") && (row.contains("session_count") || row.contains("score_ci_lower")))
    throw_agent(path);
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

// The rows of one date of publication if rows have one, as in the leaderboard dataset's splits with
// history; else all rows.
Json rows_of_date(const Json& rows, const std::string& wanted, const fs::path& path) {
  std::set<std::string> dates;
  for (const Json& row : rows) {
    if (row.is_object() && row.contains(kDateKey) && row.at(kDateKey).is_string())
      dates.insert(row.at(kDateKey).get<std::string>());
  }
  if (dates.empty() && !wanted.empty()) {
    throw Error(ErrorKind::kUsage, "{}: has no column {}, so date '{}' cannot be chosen",
                path.string(), kDateKey, wanted);
  }
  if (wanted.empty() && dates.size() <= 1) return rows;
  if (!dates.contains(wanted)) {
    throw Error(ErrorKind::kUsage,
                "{}: holds ratings of {} dates, {} to {}{}; choose one with --date", path.string(),
                dates.size(), *dates.begin(), *dates.rbegin(),
                wanted.empty() ? "" : fmt::format(", none of them '{}'", wanted));
  }
  Json chosen = Json::array();
  for (const Json& row : rows) {
    if (row.is_object() && row.contains(kDateKey) && row.at(kDateKey) == wanted)
      chosen.push_back(row);
  }
  return chosen;
}

// The answer of the datasets server: {"rows": [{"row_idx": 0, "row": {...}}], "num_rows_total": N}.
bool is_datasets_server(const Json& json) {
  const auto rows = json.is_object() ? json.find("rows") : json.end();
  return json.is_object() && rows != json.end() && rows->is_array() && !rows->empty() &&
         std::all_of(rows->begin(), rows->end(), [](const Json& entry) {
           return entry.is_object() && entry.contains("row") && entry.at("row").is_object();
         });
}

Json rows_of_datasets_server(const Json& json, const fs::path& path) {
  Json rows = Json::array();
  for (const Json& entry : json.at("rows")) rows.push_back(entry.at("row"));
  const auto total = json.find("num_rows_total");
  if (total != json.end() && total->is_number_unsigned() &&
      total->get<std::size_t>() > rows.size()) {
    log::warning("{}: holds {} of the dataset's {} rows; further models have no rating",
                 path.string(), rows.size(), total->get<std::size_t>());
  }
  return rows;
}

// The element of a column: of a list, or of pandas' object of row numbers.
const Json* element_of(const Json& column, std::size_t row) {
  if (column.is_array()) return row < column.size() ? &column[row] : nullptr;
  const auto place = column.is_object() ? column.find(std::to_string(row)) : column.end();
  return column.is_object() && place != column.end() ? &*place : nullptr;
}

// arena-rank's results (compute_ratings_and_cis): {"competitors": [...], "ratings": [...],
// "rating_lower": [...], "rating_upper": [...], "variances": [...]}, or pandas' form of it.
bool is_arena_rank(const Json& json) {
  if (!json.is_object() || !json.contains("competitors") || !json.contains("ratings")) return false;
  const Json& names = json.at("competitors");
  const Json& ratings = json.at("ratings");
  return names.is_structured() && ratings.is_structured();
}

Json rows_of_arena_rank(const Json& json, const fs::path& path) {
  const std::size_t num_rows = json.at("competitors").size();
  if (json.at("ratings").size() != num_rows) {
    throw Error(ErrorKind::kInput, "{}: has {} competitors and {} ratings, expected as many",
                path.string(), num_rows, json.at("ratings").size());
  }
  Json rows = Json::array();
  for (std::size_t row = 0; row < num_rows; ++row) {
    rows.push_back(Json::object());
    for (const char* key : {"competitors", "ratings", "rating_lower", "rating_upper"}) {
      const Json* value = json.contains(key) ? element_of(json.at(key), row) : nullptr;
      if (value != nullptr) rows.back()[key] = *value;
    }
  }
  return rows;
}

std::vector<ArenaRating> ratings_of_json(const Json& json, const fs::path& path,
                                         const RatingsOptions& options) {
  if (json.is_object() && json.contains("model_a") && json.contains("model_b")) throw_battles(path);
  if (is_datasets_server(json))
    return ratings_of_json(rows_of_datasets_server(json, path), path, options);
  if (is_arena_rank(json)) return ratings_of_json(rows_of_arena_rank(json, path), path, options);
  // One row of JSONL looks like an object too.
  if (json.is_object() && find_score(json) != nullptr && !find_score(json)->is_structured() &&
      std::any_of(kNameKeys.begin(), kNameKeys.end(), [&](const char* key) {
        return json.contains(key) && json.at(key).is_string();
      })) {
    Json rows = Json::array();
    rows.push_back(json);
    return ratings_of_json(rows, path, options);
  }
  const bool nested = json.is_object() && !json.empty() && is_catalogue(json);
  if (!options.category.empty() && !nested && !json.is_array()) {
    throw Error(ErrorKind::kUsage,
                "{}: is not an Arena catalogue, so category '{}' cannot be chosen", path.string(),
                options.category);
  }
  if (!options.date.empty() && !json.is_array()) {
    throw Error(ErrorKind::kUsage, "{}: has no column {}, so date '{}' cannot be chosen",
                path.string(), kDateKey, options.date);
  }
  if (nested) return ratings_of_object(category_of(json, options.category, path), path);
  if (json.is_object()) return ratings_of_object(json, path);
  if (!json.is_array()) {
    throw Error(ErrorKind::kInput, "{}: holds a JSON {}, expected an object or a list of ratings",
                path.string(), json.type_name());
  }
  const Json rows =
      rows_of_date(rows_of_category(json, options.category, path), options.date, path);
  std::vector<ArenaRating> ratings;
  ratings.reserve(rows.size());
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
    failure = error.what();  // "[json.exception.parse_error.101] parse error ..."
    failure.erase(0, failure.find(' ') + 1);
  }
  std::vector<ArenaRating> ratings;
  Json rows = Json::array();
  bool has_categories = !options.category.empty() || !options.date.empty();
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
    has_categories |= row.contains("category") || row.contains(kDateKey);
    rows.push_back(row);
  }
  return has_categories ? ratings_of_json(rows, path, options) : ratings;
}

// Rows of Parquet, Arrow, CSV, or a folder of these or of JSON lines.
Json rows_of_dataset(const fs::path& path) {
  std::vector<std::string> columns = {"category", kDateKey,        "model_a",
                                      "model_b",  "session_count", "score_ci_lower"};
  columns.insert(columns.end(), kNameKeys.begin(), kNameKeys.end());
  columns.insert(columns.end(), kScoreKeys.begin(), kScoreKeys.end());
  columns.insert(columns.end(), kIntervalKeys.begin(), kIntervalKeys.end());
  for (const auto& [lo, hi] : kIntervalEndKeys) columns.insert(columns.end(), {lo, hi});
  RowReader reader(path, {}, columns);
  Json rows = Json::array();
  while (const RowView* row = reader.next()) rows.push_back(row->to_json());
  reader.finish();
  return rows;
}

// Of a file that may be compressed with gzip.
std::string read_text(const fs::path& path) {
  std::string text = read_file(path);
  return text.starts_with("\x1F\x8B") ? ByteStream(path).rest() : text;
}

bool is_dataset(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) return true;
  if (!fs::is_regular_file(path, code)) return false;
  if (is_csv(path)) return true;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 6> start{};
  file.read(start.data(), start.size());
  const std::string_view head(start.data(), static_cast<std::size_t>(file.gcount()));
  return head.starts_with("PAR1") || head == "ARROW1" || head.starts_with("\xFF\xFF\xFF\xFF");
}

}  // namespace

std::vector<ArenaRating> read_ratings(const fs::path& path, const RatingsOptions& options) {
  std::vector<ArenaRating> ratings;
  if (is_dataset(path)) {
    ratings = ratings_of_json(rows_of_dataset(path), path, options);
    check_ratings(ratings, path);
    return ratings;
  }
  const std::string text = read_text(path);
  refuse_lfs_pointer(text, path.string());
  refuse_foreign_format(text, path.string());
  if (const auto invalid = find_invalid_utf8(text)) {
    throw Error(ErrorKind::kInput, "{}: invalid UTF-8 at byte {}; write it as UTF-8", path.string(),
                *invalid + 1);
  }
  ratings = ratings_of_text(text, path, options);
  check_ratings(ratings, path);
  return ratings;
}

}  // namespace charm::storage
