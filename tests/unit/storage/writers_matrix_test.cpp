// Every writer of data files times every role of a column: tools/golden/writers.py. A file must
// read to the same records as its rows as JSON lines, or be refused by an error that names what it
// is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "charm/base/strings.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_reader.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

fs::path writers_folder() { return charm::test::kSourceDir + std::string("/tests/data/writers"); }

struct Cell {
  std::string file;
  std::string kind;
  ReadOptions options;
  std::optional<Json> rows;                         // as JSON lines
  std::optional<std::vector<std::string>> refused;  // words of the error
};

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  const Json shared = Json::parse(read_file(writers_folder() / "rows.json"));
  const std::string text = read_file(writers_folder() / "expected.jsonl");
  for (std::size_t first = 0; first < text.size();) {
    const std::size_t end = std::min(text.find('\n', first), text.size());
    const Json entry = Json::parse(text.substr(first, end - first));
    first = end + 1;
    Cell cell{.file = entry.at("file"), .kind = entry.at("kind")};
    if (entry.contains("split")) cell.options.split = entry.at("split").get<std::string>();
    if (entry.contains("rows")) {
      const Json& rows = entry.at("rows");
      cell.rows = rows.is_string() ? shared.at(rows.get<std::string>()) : rows;
    }
    if (entry.contains("refused"))
      cell.refused = entry.at("refused").get<std::vector<std::string>>();
    cells.push_back(std::move(cell));
  }
  return cells;
}

// "duckdb/id_uuid.parquet" -> "duckdb_id_uuid_parquet".
std::string name_of_cell(const ::testing::TestParamInfo<Cell>& info) {
  std::string name = info.param.file;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

void PrintTo(const Cell& cell, std::ostream* out) { *out << cell.file; }

// A record of any kind, for comparison: its conversations and all else as text.
struct Record {
  std::string text;
  std::vector<Conversation> conversations;
  bool operator==(const Record&) const = default;
};

void PrintTo(const Record& record, std::ostream* out) {
  *out << record.text;
  for (const Conversation& conversation : record.conversations)
    *out << " | " << conversation_json(conversation);
}

template <typename Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? fmt::format("{}", *number) : "none";
}

Record record_of(const Response& row) {
  return {fmt::format("id {} policy {} sample {} tokens {} finish {} response '{}' {}",
                      row.prompt_id, row.policy, row.sample, text_of(row.num_tokens),
                      text_of(row.finish_reason), row.response, row.members),
          {row.prompt}};
}

Record record_of(const ScoredResponse& row) {
  Record record = record_of(row.response);
  record.text += fmt::format(" score {} tokens {} truncated {} error {}", row.score, row.num_tokens,
                             row.truncated, text_of(row.error));
  return record;
}

Record record_of(const Score& row) {
  return {fmt::format("id {} policy {} sample {} score {} error {}", row.prompt_id, row.policy,
                      row.sample, row.score, text_of(row.error)),
          {}};
}

Record record_of(const Prompt& row) {
  return {fmt::format("id {}", row.prompt_id), {row.messages}};
}

Record record_of(const PreferencePair& row) {
  return {fmt::format("id {} scores {} {} margin {} policies '{}' '{}'", row.prompt_id,
                      text_of(row.score_chosen), text_of(row.score_rejected), text_of(row.margin),
                      row.policy_chosen, row.policy_rejected),
          {row.chosen, row.rejected}};
}

Record record_of(const Battle& row) {
  return {fmt::format("{} against {}: {}", row.model_a, row.model_b, row.outcome), {}};
}

Record record_of(const ArenaRating& row) {
  return {fmt::format("{}: {} in [{}, {}]", row.name, row.rating_elo, text_of(row.rating_lo),
                      text_of(row.rating_hi)),
          {}};
}

template <typename Row>
std::vector<Record> records_of(const std::vector<Row>& rows) {
  std::vector<Record> records;
  for (const Row& row : rows) records.push_back(record_of(row));
  return records;
}

std::vector<Record> read_as(const std::string& kind, const fs::path& path,
                            const ReadOptions& options) {
  if (kind == "responses") return records_of(read_responses(path, options));
  if (kind == "scored") return records_of(read_scored_responses(path, options));
  if (kind == "scores") return records_of(read_scores(path, options));
  if (kind == "preferences") return records_of(read_preferences(path, options));
  if (kind == "prompts") return records_of(read_prompts(path, options));
  if (kind == "ratings") return records_of(read_ratings(path));
  if (kind == "battles") {
    std::vector<Record> records;
    for_each_battle(path, options, BattleOptions{},
                    [&](Battle&& battle) { records.push_back(record_of(battle)); });
    return records;
  }
  throw Error(ErrorKind::kInternal, "expected.jsonl: unknown kind '{}'", kind);
}

// The rows as JSON lines, under the name that the policy of rows without one comes from.
std::vector<Record> read_rows(const Cell& cell, const fs::path& path) {
  const charm::testing::TempFolder folder;
  std::string lines;
  for (const Json& row : *cell.rows) lines += row.dump() + "\n";
  return read_as(cell.kind, folder.file(policy_name_of(path) + ".jsonl", lines), {});
}

// The message without the paths of the cell's files, whose names say what is expected.
std::string without_paths(std::string message, const fs::path& path) {
  const auto erase = [&](const std::string& text) {
    for (std::size_t at = message.find(text); at != std::string::npos; at = message.find(text))
      message.erase(at, text.size());
  };
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) erase(entry.path().string());
    }
  }
  erase(path.string());
  return message;
}

// How the cell fails; empty if it does not.
std::string failure_of(const Cell& cell) {
  const fs::path path = writers_folder() / cell.file;
  std::vector<Record> found;
  try {
    found = read_as(cell.kind, path, cell.options);
  } catch (const Error& error) {
    const std::string message = without_paths(error.message(), path);
    if (!cell.refused) return fmt::format("refused: {}", message);
    if (error.kind() != ErrorKind::kInput)
      return fmt::format("refused with exit code {}: {}", error.exit_code(), message);
    for (const std::string& word : *cell.refused) {
      if (lower_ascii(message).find(lower_ascii(word)) == std::string::npos)
        return fmt::format("refused without naming \"{}\": {}", word, message);
    }
    return "";
  }
  if (!cell.rows) {
    return fmt::format("read as {} records, expected to be refused; the first: {}", found.size(),
                       ::testing::PrintToString(found.front()));
  }
  const std::vector<Record> expected = read_rows(cell, path);
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (!(found[i] == expected[i])) {
      return fmt::format("record {} is {}, as JSON lines {}", i + 1,
                         ::testing::PrintToString(found[i]), ::testing::PrintToString(expected[i]));
    }
  }
  if (found.size() != expected.size())
    return fmt::format("{} records, as JSON lines {}", found.size(), expected.size());
  return "";
}

class WritersMatrix : public ::testing::TestWithParam<Cell> {};

TEST_P(WritersMatrix, ReadsAsJsonLinesOrIsRefusedByName) {
  const std::string failure = failure_of(GetParam());
  EXPECT_TRUE(failure.empty()) << GetParam().file << ": " << failure;
}

INSTANTIATE_TEST_SUITE_P(Files, WritersMatrix, ::testing::ValuesIn(all_cells()), name_of_cell);

}  // namespace
}  // namespace charm::storage
