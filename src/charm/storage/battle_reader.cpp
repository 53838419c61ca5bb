#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/storage/ratings.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

// As JSON, for messages.
std::string shown(const RowView& row, const char* column) {
  return row.contains(column) ? json_of(row[column], column).dump() : "missing";
}

std::string name_of(const RowView& row, const char* column) {
  const std::optional<std::string> name = text_field(row, column);
  if (!name || name->empty()) {
    throw Error(ErrorKind::kInput, "column '{}' is {}, expected a model name", column,
                shown(row, column));
  }
  return *name;
}

double outcome_of(const RowView& row) {
  const std::string winner = text_field(row, "winner").value_or("");
  if (winner == "model_a") return 1.0;
  if (winner == "model_b") return 0.0;
  for (const char* tie : {"tie", "tie (bothbad)", "bothbad", "both_bad"}) {
    if (winner == tie) return 0.5;
  }
  throw Error(ErrorKind::kInput, "winner is {}, expected model_a, model_b, tie or tie (bothbad)",
              shown(row, "winner"));
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

StyleCounts counts_of(const Json& metadata, const std::string& side) {
  return {.length = count_of(metadata, "sum_assistant_" + side + "_tokens"),
          .headers = count_of(metadata, "header_count_" + side),
          .lists = count_of(metadata, "list_count_" + side),
          .bold = count_of(metadata, "bold_count_" + side)};
}

// Content of a turn: a string, or a list of parts of which the texts count ([{"type": "text",
// "text": ...}]).
void append_content(const Json& content, std::string& text) {
  if (content.is_string()) text += content.get_ref<const std::string&>();
  if (!content.is_array()) return;
  for (const Json& part : content) {
    if (part.is_string()) text += part.get_ref<const std::string&>();
    if (part.is_object() && part.contains("text") && part["text"].is_string()) {
      text += part["text"].get_ref<const std::string&>();
    }
  }
}

// The assistant's turns, one line break between them.
std::string text_of_side(const RowView& row, const std::string& side) {
  if (auto response = text_field(row, "response_" + side)) return *std::move(response);
  const std::string column = "conversation_" + side;
  const Json turns = json_of(row[column], column);
  if (!turns.is_array()) {
    throw Error(ErrorKind::kInput,
                "styles need conv_metadata, response_{0} or conversation_{0}, found none of them",
                side);
  }
  std::string text;
  bool is_first = true;
  for (const Json& turn : turns) {
    if (!turn.is_object() || turn.value("role", Json()) != "assistant") continue;
    if (!is_first) text += '\n';
    is_first = false;
    if (turn.contains("content")) append_content(turn["content"], text);
  }
  return text;
}

Battle battle_of(const RowView& row, bool with_styles) {
  Battle battle;
  battle.model_a = name_of(row, "model_a");
  battle.model_b = name_of(row, "model_b");
  if (battle.model_a == battle.model_b) {
    throw Error(ErrorKind::kInput, "model_a and model_b are both '{}'", battle.model_a);
  }
  battle.outcome = outcome_of(row);
  if (!with_styles) return battle;
  const Json metadata = json_of(row["conv_metadata"], "conv_metadata");
  if (metadata.is_object()) {
    battle.style_a = counts_of(metadata, "a");
    battle.style_b = counts_of(metadata, "b");
  } else {
    battle.text_a = text_of_side(row, "a");
    battle.text_b = text_of_side(row, "b");
  }
  return battle;
}

}  // namespace

void for_each_battle(const std::filesystem::path& path, const ReadOptions& options,
                     bool with_styles, const std::function<void(Battle&&)>& body) {
  std::vector<std::string> columns = {"model_a", "model_b", "winner"};
  if (with_styles) {
    for (const char* more :
         {"conv_metadata", "response_a", "response_b", "conversation_a", "conversation_b"}) {
      columns.emplace_back(more);
    }
  }
  RowReader reader(path, options, columns);
  while (const RowView* row = reader.next()) {
    std::optional<Battle> battle;
    std::string problem;
    try {
      battle = battle_of(*row, with_styles);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      problem = error.message();
    }
    if (battle) {
      body(*std::move(battle));
    } else {
      reader.reject(problem);
    }
  }
  reader.finish();
}

}  // namespace charm::storage
