#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/records/conversation.h"
#include "charm/show/show_text.h"

namespace charm::show {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kCsv = ".csv", kJsonLines = ".jsonl";

Json comparison_json(const ShowResult& result, const Comparison& row) {
  return {{"prompt_id", row.prompt_id},
          {"sample", row.sample},
          {"prompt", Json::parse(messages_json(row.prompt))},
          {"policy", result.policy},
          {"against", result.against},
          {"response_policy", row.response_policy},
          {"response_against", row.response_against},
          {"score_policy", row.score_policy},
          {"score_against", row.score_against},
          {"margin", row.margin()},
          {"offset", result.offset ? Json(*result.offset) : Json()},
          {"margin_after", result.offset ? Json(row.margin() + *result.offset) : Json()},
          {"winner_before", winner_name(result, row.before)},
          {"winner_after", result.offset ? Json(winner_name(result, row.after)) : Json()},
          {"flips", row.flips()}};
}

/// A member of the JSON form as a CSV field; numbers with all their digits, null as nothing.
std::string field_text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string csv_text(const ShowResult& result) {
  std::string text;
  for (const Comparison& row : result.comparisons) {
    Json json = comparison_json(result, row);
    json["prompt"] = prompt_text(row.prompt);
    std::vector<std::string> names, fields;
    for (const auto& [name, value] : json.items()) {
      names.push_back(name);
      fields.push_back(field_text(value));
    }
    if (text.empty()) text = csv_record(names);
    text += csv_record(fields);
  }
  return text;
}

}  // namespace

void require_known_format(const fs::path& output) {
  if (output.extension() == kCsv || output.extension() == kJsonLines) return;
  throw Error(ErrorKind::kUsage, "--output {}: expected the extension .jsonl or .csv",
              output.string());
}

std::string output_text(const ShowResult& result, const fs::path& output) {
  if (output.extension() == kCsv) return csv_text(result);
  std::string text;
  for (const Comparison& row : result.comparisons) {
    text += comparison_json(result, row).dump(-1, ' ', /*ensure_ascii=*/false) + "\n";
  }
  return text;
}

const std::string& winner_name(const ShowResult& result, Winner winner) {
  static const std::string kTie = "tie";
  if (winner == Winner::kTie) return kTie;
  return winner == Winner::kPolicy ? result.policy : result.against;
}

}  // namespace charm::show
