#include "charm/storage/published_scores.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::storage {
namespace {

using nlohmann::json;

std::string prompt_id_of_row(const std::string& subset, const std::string& id) {
  return subset.empty() ? id : subset + "/" + id;
}

/// The columns of one file.
class Columns {
 public:
  Columns(const json& object, const std::string& file) : object_(object), file_(file) {}

  bool has(const char* name) const {
    const auto found = object_.find(name);
    return found != object_.end() && found->is_array();
  }

  const json& at(const char* name, std::size_t row) const {
    const json& column = object_.at(name);
    if (row < column.size()) return column[row];
    throw Error(ErrorKind::kInput, "{}: column '{}' has {} values, but 'id' has more", file_, name,
                column.size());
  }

  std::string text(const char* name, std::size_t row) const {
    const json& value = at(name, row);
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_integer()) return value.dump();
    fail(name, row, value, "a text or a whole number");
  }

  /// One number, perhaps in a list of its own, or a list of numbers.
  std::vector<double> numbers(const char* name, std::size_t row) const {
    const json& value = at(name, row);
    std::vector<double> numbers;
    for (const json& item : value.is_array() ? value : json::array({value})) {
      const json& number = item.is_array() && item.size() == 1 ? item.front() : item;
      if (!number.is_number()) fail(name, row, value, "a score or a list of scores");
      numbers.push_back(number.get<double>());
    }
    return numbers;
  }

  [[noreturn]] void fail(const char* name, std::size_t row, const json& value,
                         std::string_view expected) const {
    throw Error(ErrorKind::kInput, "{}, row {}: '{}' is {}, expected {}", file_, row + 1, name,
                value.dump(), expected);
  }

 private:
  const json& object_;
  const std::string& file_;
};

PublishedRow read_row(const Columns& columns, std::size_t row) {
  PublishedRow read{.id = columns.text("id", row),
                    .subset = columns.text("subset", row),
                    .chosen = {},
                    .rejected = {}};
  if (columns.has("scores_chosen")) {
    read.chosen = columns.numbers("scores_chosen", row);
    read.rejected = columns.numbers("scores_rejected", row);
    return read;
  }
  const std::vector<double> scores = columns.numbers("scores", row);
  const json& count = columns.at("num_correct", row);
  const bool fits = count.is_number_integer() && count.get<std::int64_t>() >= 1 &&
                    count.get<std::int64_t>() <= static_cast<std::int64_t>(scores.size());
  if (!fits) columns.fail("num_correct", row, count, "a part of the row's scores");
  const auto split = scores.begin() + count.get<std::ptrdiff_t>();
  read.chosen.assign(scores.begin(), split);
  read.rejected.assign(split, scores.end());
  return read;
}

/// Whether the file may be one JSON object: a cheap look before it is parsed.
bool begins_with_brace(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  char first = ' ';
  while (stream.get(first) && (first == ' ' || first == '\n' || first == '\r' || first == '\t')) {
  }
  return first == '{';
}

}  // namespace

std::optional<std::vector<PublishedRow>> read_published_scores(const fs::path& file) {
  std::error_code error;
  if (file.extension() != ".json" || !fs::is_regular_file(file, error) || !begins_with_brace(file))
    return std::nullopt;
  const std::string name = file.string();
  const json parsed = parse_json(read_file(file), name);
  const Columns columns(parsed, name);
  const bool is_v1 = columns.has("scores_chosen") && columns.has("scores_rejected");
  const bool is_v2 = columns.has("scores") && columns.has("num_correct");
  if (!columns.has("id") || !columns.has("subset") || (!is_v1 && !is_v2)) return std::nullopt;
  std::vector<PublishedRow> rows;
  for (std::size_t row = 0; row < parsed["id"].size(); ++row)
    rows.push_back(read_row(columns, row));
  return rows;
}

std::vector<Score> scores_of(const std::vector<PublishedRow>& rows) {
  std::vector<Score> scores;
  for (const PublishedRow& row : rows) {
    for (const auto& [policy, values] :
         {std::pair("chosen", &row.chosen), std::pair("rejected", &row.rejected)}) {
      for (std::size_t i = 0; i < values->size(); ++i) {
        Score score;
        score.prompt_id = prompt_id_of_row(row.subset, row.id);
        score.policy = policy;
        score.sample = static_cast<std::int32_t>(i);
        score.score = (*values)[i];
        scores.push_back(std::move(score));
      }
    }
  }
  return scores;
}

bool holds_benchmark_rows(const fs::path& file) {
  constexpr const char* kResponses[] = {"response", "output", "completion", "messages",
                                        "conversations"};
  std::vector<std::string> columns = {"prompt", "chosen", "rejected"};
  columns.insert(columns.end(), std::begin(kResponses), std::end(kResponses));
  // Whoever reads the rows counts the invalid ones.
  RowReader reader(file, {.max_bad_rows = std::numeric_limits<std::int64_t>::max()},
                   std::move(columns));
  const RowView* row = reader.next();
  if (row == nullptr) return false;
  try {
    return row->has("prompt") && row->has("chosen") && row->has("rejected") &&
           std::none_of(std::begin(kResponses), std::end(kResponses),
                        [&](const char* name) { return row->has(name); });
  } catch (const Error& error) {  // a column twice
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

std::vector<Response> read_benchmark_responses(const fs::path& file, const ReadOptions& options) {
  std::vector<Response> responses;
  RowReader reader(file, options, {"id", "subset", "domain", "prompt", "chosen", "rejected"});
  while (const RowView* row = reader.next()) {
    try {
      const Value id = (*row)["id"];
      const std::string row_id = id.is_null() ? std::to_string(reader.num_rows()) : id_of(id, "id");
      const std::string subset =
          text_field(*row, "subset").value_or(text_field(*row, "domain").value_or(""));
      const Conversation prompt = conversation_of(*row, (*row)["prompt"], "prompt");
      std::vector<Response> of_row;
      for (const char* policy : {"chosen", "rejected"}) {
        const std::vector<std::string> texts = texts_of((*row)[policy], policy);
        for (std::size_t i = 0; i < texts.size(); ++i) {
          Response response;
          response.prompt_id = prompt_id_of_row(subset, row_id);
          response.prompt = prompt;
          response.response = texts[i];
          response.policy = policy;
          response.sample = static_cast<std::int32_t>(i);
          of_row.push_back(std::move(response));
        }
      }
      for (Response& response : of_row) responses.push_back(std::move(response));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      reader.reject(error.message());
    }
  }
  reader.finish();
  return responses;
}

}  // namespace charm::storage
