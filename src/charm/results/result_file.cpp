#include "charm/results/result_file.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/strings.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplace = Json::error_handler_t::replace;

using Record = std::vector<std::pair<std::string, std::string>>;  // column, cell

bool is_interval(const Json& value) {
  return value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number();
}

std::string cell_of(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, kReplace);
}

void flatten(const std::string& prefix, const Json& object, Record& record) {
  for (const auto& [name, value] : object.items()) {
    const std::string column = prefix + name;
    if (value.is_object()) {
      flatten(column + "_", value, record);
    } else if (is_interval(value)) {
      record.emplace_back(column + "_lo", cell_of(value[0]));
      record.emplace_back(column + "_hi", cell_of(value[1]));
    } else {
      record.emplace_back(column, cell_of(value));
    }
  }
}

/// Columns of all records. A new one comes after the one that it follows in its record, so that an
/// interval that the first rows lack stands beside its value.
std::vector<std::string> columns_of(const std::vector<Record>& records) {
  std::vector<std::string> columns;
  for (const Record& record : records) {
    auto place = columns.begin();
    for (const auto& [column, cell] : record) {
      const auto found = std::find(columns.begin(), columns.end(), column);
      place = (found != columns.end() ? found : columns.insert(place, column)) + 1;
    }
  }
  // A null stands for an interval as well: then its bounds have columns of their own.
  std::erase_if(columns, [&](const std::string& column) {
    return std::find(columns.begin(), columns.end(), column + "_lo") != columns.end();
  });
  return columns;
}

Json part_row(const std::string& part, const std::string& name, const Json& value) {
  Json row = {{"part", part}, {"name", name}};
  if (value.is_object()) {
    row.update(value);
  } else {
    row["score"] = value;
  }
  return row;
}

}  // namespace

Json inputs_json(std::span<const InputFile> files) {
  Json json = Json::array();
  for (const InputFile& file : files) {
    json.push_back(
        {{"path", file.path.string()}, {"sha256", file.sha256}, {"num_rows", file.num_rows}});
  }
  return json;
}

std::vector<InputFile> read_inputs(const Json& result) {
  std::vector<InputFile> files;
  const Fields fields(result, "result", "charm");
  for (const Fields& file : fields.find_or<std::vector<Fields>>("inputs")) {
    files.push_back({.path = file.find_or<std::string>("path"),
                     .sha256 = file.find_or<std::string>("sha256"),
                     .num_rows = file.find_or<std::int64_t>("num_rows")});
  }
  return files;
}

void require_json_name(const std::filesystem::path& output) {
  require_result_name(output);
  if (lower_ascii(output.extension().string()) != ".csv") return;
  throw Error(ErrorKind::kUsage,
              "{}: is written as JSON; expected a name in .json, or - for standard output",
              output.string());
}

void require_result_name(const std::filesystem::path& output) {
  constexpr std::array kOthers = {".parquet", ".jsonl", ".ndjson", ".gz",   ".tsv",
                                  ".xlsx",    ".yaml",  ".yml",    ".html", ".txt"};
  const std::string extension = lower_ascii(output.extension().string());
  if (std::find(kOthers.begin(), kOthers.end(), extension) == kOthers.end()) return;
  throw Error(ErrorKind::kUsage,
              "{}: results are written as JSON (.json, or - for standard output) or as CSV (.csv), "
              "not as {}",
              output.string(), extension);
}

std::optional<ResultKind> result_kind(const Json& json) {
  const auto has = [&](std::initializer_list<const char*> members) {
    return std::all_of(members.begin(), members.end(),
                       [&](const char* member) { return json.contains(member); });
  };
  if (!json.is_object()) return std::nullopt;
  if (has({"benchmark", "a", "b"})) return ResultKind::kComparison;
  if (has({"benchmark"})) return ResultKind::kEvaluation;
  if (has({"methods", "pairs"})) return ResultKind::kExplanation;
  if (has({"policies", "pairs", "reference"})) return ResultKind::kCalibration;
  if (has({"policies", "pairs"})) return ResultKind::kMismatch;
  return std::nullopt;
}

std::string_view result_kind_text(ResultKind kind) {
  switch (kind) {
    case ResultKind::kMismatch:
      return "a result of charm measure";
    case ResultKind::kCalibration:
      return "a result of charm calibrate";
    case ResultKind::kEvaluation:
      return "a result of charm evaluate";
    case ResultKind::kComparison:
      return "a comparison of charm evaluate --compare";
    case ResultKind::kExplanation:
      return "a result of charm explain";
  }
  return "?";
}

void write_result(const std::filesystem::path& output, const Json& result, const Json& table) {
  const bool csv = lower_ascii(output.extension().string()) == ".csv";
  write_file(output, csv ? csv_table(table) : result.dump(2, ' ', false, kReplace) + "\n");
}

std::string csv_table(const Json& rows) {
  std::vector<Record> records;
  for (const Json& row : rows) flatten("", row, records.emplace_back());
  const std::vector<std::string> columns = columns_of(records);
  std::string text = csv_record(columns);
  for (const Record& record : records) {
    std::vector<std::string> cells;
    for (const std::string& column : columns) {
      const auto found = std::find_if(record.begin(), record.end(),
                                      [&](const auto& cell) { return cell.first == column; });
      cells.push_back(found != record.end() ? found->second : "");
    }
    text += csv_record(cells);
  }
  return text;
}

Json evaluation_table(const Json& result) {
  Json rows = Json::array();
  for (const auto& [name, value] : result.items()) {
    if (!value.is_number_float()) continue;
    Json score = {{"score", value}};
    if (const auto interval = result.find(name + "_ci95"); interval != result.end())
      score["score_ci95"] = *interval;
    rows.push_back(part_row("overall", name, score));
  }
  for (const auto& [name, value] : result.items()) {  // a comparison's
    if (value.is_object() && value.contains("difference"))
      rows.push_back(part_row("overall", name, value));
  }
  constexpr std::array<std::pair<const char*, const char*>, 5> kParts = {
      {{"sections", "section"},
       {"domains", "domain"},
       {"subsets", "subset"},
       {"correlations", "correlation"},
       {"policies", "policy"}}};
  for (const auto& [list, part] : kParts) {
    const auto parts = result.find(list);
    if (parts == result.end() || !parts->is_object()) continue;
    for (const auto& [name, value] : parts->items()) {
      if (name.ends_with("_ci95")) continue;
      Json row = part_row(part, name, value);
      if (const auto interval = parts->find(name + "_ci95"); interval != parts->end())
        row["score_ci95"] = *interval;
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace charm::results
