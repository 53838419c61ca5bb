#include "charm/storage/vote_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"

namespace charm::storage {

using Json = nlohmann::ordered_json;

std::optional<Json> next_vote(RowReader& reader) {
  while (const RowView* view = reader.next()) {
    try {
      return view->to_json();
    } catch (const Error& error) {  // text that is not UTF-8, names twice
      if (error.kind() != ErrorKind::kInput) throw;
      reader.reject(error.message());
    }
  }
  return std::nullopt;
}

bool is_present(const Json& row, const char* column) {
  const auto place = row.find(column);
  return place != row.end() && !place->is_null();
}

bool tag_flag(const Json& value, std::string_view name) {
  if (value.is_boolean()) return value.get<bool>();
  // A field of CSV, as pandas writes it.
  if (value == "True" || value == "true") return true;
  if (value == "False" || value == "false") return false;
  if (value.is_number() && (value == 0 || value == 1)) return value == 1;
  throw Error(ErrorKind::kInput, "'{}' is {}, expected true or false", name, value.dump());
}

std::string model_name_of(const Json& row, const char* column) {
  const auto place = row.find(column);
  if (place == row.end() || !place->is_string() || place->get_ref<const std::string&>().empty()) {
    throw Error(ErrorKind::kInput, "column '{}' is {}, expected a model name", column,
                place == row.end() ? "missing" : place->dump());
  }
  return place->get<std::string>();
}

void check_distinct_models(const std::string& model_a, const std::string& model_b) {
  if (model_a != model_b) return;
  throw Error(ErrorKind::kInput, "model_a and model_b are both '{}'", model_a);
}

namespace {

// Kaggle's "LLM Classification" and lmsys-arena-human-preference-55k: one of three columns is 1.
double one_hot_outcome(const Json& row) {
  constexpr std::array<std::pair<const char*, double>, 3> kColumns = {
      {{"winner_model_a", 1.0}, {"winner_model_b", 0.0}, {"winner_tie", 0.5}}};
  int num_set = 0;
  double outcome = 0.0;
  for (const auto& [column, value] : kColumns) {
    if (!is_present(row, column) || !tag_flag(row[column], column)) continue;
    ++num_set;
    outcome = value;
  }
  if (num_set == 1) return outcome;
  throw Error(ErrorKind::kInput,
              "{} of winner_model_a, winner_model_b and winner_tie are 1, expected one", num_set);
}

// A number, or the sum of an object of numbers ({"h1": 0, "h2": 3, ...}).
double count_of(const Json& metadata, const std::string& key) {
  const auto place = metadata.find(key);
  double count = NAN;
  if (place != metadata.end() && place->is_number()) count = place->get<double>();
  if (place != metadata.end() && place->is_object()) {
    count = 0.0;
    for (const Json& part : *place) count += part.is_number() ? part.get<double>() : NAN;
  }
  if (!(count >= 0.0) || !std::isfinite(count)) {
    throw Error(ErrorKind::kInput, "conv_metadata: '{}' is {}, expected a count", key,
                place == metadata.end() ? "missing" : place->dump());
  }
  return count;
}

}  // namespace

double outcome_of(const Json& row) {
  if (!is_present(row, "winner") && is_present(row, "winner_model_a")) return one_hot_outcome(row);
  const bool is_tie = is_present(row, "is_tie") && tag_flag(row["is_tie"], "is_tie");
  if (is_tie && !is_present(row, "winner")) return 0.5;
  const auto place = row.find("winner");
  const std::string winner =
      place != row.end() && place->is_string() ? place->get<std::string>() : std::string();
  for (const char* tie : {"tie", "tie (bothbad)", "bothbad", "both_bad", "tie (inconsistent)"}) {
    if (winner == tie) return 0.5;
  }
  if (is_tie && (winner == "model_a" || winner == "model_b")) {
    throw Error(ErrorKind::kInput, "winner is \"{}\" although is_tie is true", winner);
  }
  if (winner == "model_a") return 1.0;
  if (winner == "model_b") return 0.0;
  throw Error(ErrorKind::kInput,
              "winner is {}, expected model_a, model_b, tie, tie (bothbad) or both_bad{}",
              place == row.end() ? "missing" : place->dump(),
              place != row.end() && place->is_number()
                  ? "; write the name that the number stands for"
                  : "");
}

StyleCounts metadata_counts(const Json& metadata, const std::string& side) {
  return {.length = count_of(metadata, "sum_assistant_" + side + "_tokens"),
          .headers = count_of(metadata, "header_count_" + side),
          .lists = count_of(metadata, "list_count_" + side),
          .bold = count_of(metadata, "bold_count_" + side)};
}

std::optional<Json> json_list(const Json& value) {
  if (value.is_array()) return value;
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  if (!text.starts_with('[') || nests_deeper_than(text, kMaxJsonDepth)) return std::nullopt;
  Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return std::nullopt;
  return list;
}

std::string content_text(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (content.is_null()) return text;
  if (!content.is_array()) {
    throw Error(ErrorKind::kInput, "a text is {}, expected a string or a list of text parts",
                content.is_object() ? "an object" : content.dump());
  }
  for (const Json& part : content) {
    if (part.is_string()) text += part.get_ref<const std::string&>();
    if (part.is_object() && part.contains("text") && part["text"].is_string()) {
      text += part["text"].get_ref<const std::string&>();
    }
  }
  return text;
}

std::optional<Json> turn_list(const Json& value) {
  std::optional<Json> list = json_list(value);
  const bool are_turns = list && std::ranges::all_of(*list, [](const Json& turn) {
                           return turn.is_null() || turn.is_string() || turn.is_array();
                         });
  return are_turns ? std::move(list) : std::nullopt;
}

std::string response_column(const Json& row, const std::string& side) {
  for (const std::string& name : {side, std::string(side == "a" ? "1" : "2")}) {
    const auto response = row.find("response_" + name);
    if (response != row.end() && response->is_string()) return "response_" + name;
  }
  return "";
}

std::vector<std::string> response_turns(const Json& row, const std::string& column) {
  const std::string& text = row[column].get_ref<const std::string&>();
  const auto prompt = row.find("prompt");
  if (prompt == row.end() || !turn_list(*prompt)) return {text};
  const std::optional<Json> turns = turn_list(row[column]);
  if (!turns) {
    throw Error(ErrorKind::kInput, "{} is not the JSON of a list of texts, though the prompt is",
                column);
  }
  std::vector<std::string> texts;
  for (const Json& turn : *turns) texts.push_back(content_text(turn));
  return texts;
}

}  // namespace charm::storage
