#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/storage/column_roles.h"
#include "charm/storage/row_fields.h"

namespace charm::evaluate {
namespace {

using Json = nlohmann::ordered_json;
using storage::RowView;
using storage::Value;

constexpr int kPpeResponses = 64;  // published: 32 a question

Value required_value(const RowView& row, const std::string& name) {
  const Value value = row[name];
  if (value.is_null()) throw Error(ErrorKind::kInput, "column '{}' is missing or null", name);
  return value;
}

std::string required_text_of(const RowView& row, const std::string& name) {
  return storage::text_of(required_value(row, name), name);
}

ScoredEvalItem judge_bench_row(const RowView& row, bool with_scores) {
  ScoredEvalItem parsed;
  parsed.item.id = storage::id_of(required_value(row, "pair_id"), "pair_id");
  parsed.item.subset = required_text_of(row, "source");
  if (pair_benchmark_section(Benchmark::kJudgeBench, parsed.item.subset).empty()) {
    throw Error(ErrorKind::kInput,
                "column 'source': expected mmlu-pro-..., livebench-reasoning, livebench-math or "
                "livecodebench, found '{}'",
                parsed.item.subset);
  }
  parsed.item.prompt = {{"user", required_text_of(row, "question")}};
  const std::string label = required_text_of(row, "label");
  if (label != "A>B" && label != "B>A")
    throw Error(ErrorKind::kInput, "column 'label': expected A>B or B>A, found '{}'", label);
  const char* right = label == "A>B" ? "A" : "B";
  const char* wrong = label == "A>B" ? "B" : "A";
  parsed.item.chosen = {required_text_of(row, fmt::format("response_{}", right))};
  parsed.item.rejected = {required_text_of(row, fmt::format("response_{}", wrong))};
  if (!with_scores) return parsed;
  const auto score = [&](const char* side) {
    const std::string column = fmt::format("score_{}", side);
    if (row[column].is_null()) {
      throw Error(ErrorKind::kInput,
                  "the row has no score_A and score_B; give it with --data and --model");
    }
    return storage::number_of(row[column], column);
  };
  parsed.score_chosen = {score(right)};
  parsed.score_rejected = {score(wrong)};
  return parsed;
}

/// The answer of an object {llm_name, answer}.
std::string answer_of(const Json& object, std::string_view column) {
  if (object.is_object() && object.contains("answer") && object["answer"].is_string())
    return object["answer"].get<std::string>();
  throw Error(ErrorKind::kInput, "column '{}': expected an object with an answer, found {}", column,
              object.type_name());
}

/// Role and content; `language` is a note on the message, not a part of it.
Conversation rmb_prompt(const RowView& row) {
  const Json turns =
      storage::json_of(required_value(row, "conversation_input"), "conversation_input");
  Conversation prompt;
  for (const Json& turn : turns) {
    if (!turn.is_object() || !turn.value("role", Json()).is_string() ||
        !turn.value("content", Json()).is_string()) {
      throw Error(ErrorKind::kInput,
                  "column 'conversation_input': expected turns of role, content");
    }
    prompt.push_back({turn["role"].get<std::string>(), turn["content"].get<std::string>()});
  }
  if (prompt.empty()) throw Error(ErrorKind::kInput, "column 'conversation_input' is empty");
  return prompt;
}

ScoredEvalItem rmb_row(const RowView& row) {
  ScoredEvalItem parsed;
  const bool is_best_of_n = row.has("bon_best");
  const char* id = is_best_of_n ? "bon_uid" : "pair_uid";
  parsed.item.id = storage::id_of(required_value(row, id), id);
  parsed.item.subset = required_text_of(row, "category_path");
  if (pair_benchmark_section(Benchmark::kRmb, parsed.item.subset).empty()) {
    throw Error(ErrorKind::kInput,
                "column 'category_path': expected Pairwise_set/... or BoN_set/... with Helpfulness "
                "or Harmlessness, found '{}'",
                parsed.item.subset);
  }
  parsed.item.prompt = rmb_prompt(row);
  const auto answer = [&](const char* column) {
    return answer_of(storage::json_of(required_value(row, column), column), column);
  };
  if (!is_best_of_n) {
    parsed.item.chosen = {answer("chosen")};
    parsed.item.rejected = {answer("reject")};
    return parsed;
  }
  parsed.item.chosen = {answer("bon_best")};
  const Json losers = storage::json_of(required_value(row, "loser_list"), "loser_list");
  for (const Json& loser : losers) parsed.item.rejected.push_back(answer_of(loser, "loser_list"));
  if (parsed.item.rejected.empty()) throw Error(ErrorKind::kInput, "column 'loser_list' is empty");
  return parsed;
}

/// The column, else the file's name, else the nearest folder that names a set:
/// "PPE-MMLU-Pro-Best-of-K/data/train-0.parquet" -> "mmlu-pro".
std::string ppe_subset(const RowView& row, const fs::path& file) {
  std::vector<std::string> names = {storage::text_field(row, "subset").value_or(""),
                                    storage::text_field(row, "benchmark").value_or("")};
  for (fs::path path = file; path.has_relative_path(); path = path.parent_path())
    names.push_back(path.filename().string());
  for (const std::string& name : names) {
    std::string folded = lower_ascii(name);
    std::ranges::replace(folded, '_', '-');
    for (const std::string_view subset : pair_benchmark_sections(Benchmark::kPpe)) {
      if (folded.find(subset) != std::string::npos) return std::string(subset);
    }
  }
  throw Error(ErrorKind::kInput, "neither a column 'subset' nor the file's path names one of {}",
              fmt::join(pair_benchmark_sections(Benchmark::kPpe), ", "));
}

ScoredEvalItem ppe_row(const RowView& row, const fs::path& file) {
  ScoredEvalItem parsed;
  parsed.item.id = storage::id_of(required_value(row, "question_id"), "question_id");
  parsed.item.subset = ppe_subset(row, file);
  parsed.item.prompt = {{"user", required_text_of(row, "prompt")}};
  const Json scores = storage::json_of(required_value(row, "scores"), "scores");
  std::vector<std::int32_t> place;  // [response] among the right or the wrong ones
  std::vector<char> is_right;
  for (int i = 1; i <= kPpeResponses; ++i) {
    const std::string column = fmt::format("response_{}", i);
    if (!row.has(column)) break;
    const std::size_t index = place.size();
    if (!scores.is_array() || index >= scores.size()) {
      throw Error(ErrorKind::kInput, "column 'scores' has no entry for {}", column);
    }
    const Json& score = scores[index];
    if (!score.is_boolean() && !score.is_number())
      throw Error(ErrorKind::kInput, "column 'scores': expected true, false or numbers");
    is_right.push_back(score.is_boolean() ? score.get<bool>() : score.get<double>() >= 0.5);
    auto& texts = is_right.back() != 0 ? parsed.item.chosen : parsed.item.rejected;
    place.push_back(static_cast<std::int32_t>(texts.size()));
    texts.push_back(required_text_of(row, column));
  }
  if (place.empty()) throw Error(ErrorKind::kInput, "the row has no column response_1");
  const Json pairs =
      storage::json_of(required_value(row, "sampled_conflict_pairs"), "sampled_conflict_pairs");
  for (const Json& pair : pairs) {
    const bool is_pair = pair.is_array() && pair.size() == 2 && pair[0].is_number_integer() &&
                         pair[1].is_number_integer();
    const auto one = is_pair ? pair[0].get<std::size_t>() : place.size();
    const auto other = is_pair ? pair[1].get<std::size_t>() : place.size();
    if (one >= place.size() || other >= place.size() || is_right[one] == is_right[other]) {
      throw Error(ErrorKind::kInput,
                  "column 'sampled_conflict_pairs': {} is no pair of a right and a wrong response",
                  pair.dump());
    }
    const std::size_t right = is_right[one] != 0 ? one : other;
    const std::size_t wrong = is_right[one] != 0 ? other : one;
    parsed.item.pairs.push_back({place[right], place[wrong]});
  }
  return parsed;
}

}  // namespace

std::vector<std::string> published_columns(Benchmark benchmark) {
  switch (benchmark) {
    case Benchmark::kJudgeBench:
      return {"pair_id",    "source", "question", "response_A",
              "response_B", "label",  "score_A",  "score_B"};
    case Benchmark::kRmb:
      return {"pair_uid", "bon_uid",    "conversation_input", "reject",
              "bon_best", "loser_list", "category_path"};
    case Benchmark::kPpe: {
      std::vector<std::string> columns = {"question_id", "scores", "sampled_conflict_pairs",
                                          "benchmark", "pairs"};
      for (int i = 1; i <= kPpeResponses; ++i) columns.push_back(fmt::format("response_{}", i));
      return columns;
    }
    default:
      return {};
  }
}

const char* published_key(Benchmark benchmark) {
  if (benchmark == Benchmark::kJudgeBench) return "pair_id";
  return benchmark == Benchmark::kRmb ? "category_path" : "sampled_conflict_pairs";
}

ScoredEvalItem published_row(const RowView& row, Benchmark benchmark, const fs::path& file,
                             bool with_scores) {
  if (benchmark == Benchmark::kJudgeBench) return judge_bench_row(row, with_scores);
  if (with_scores) {
    throw Error(ErrorKind::kInput,
                "the row has no score_chosen and score_rejected; give it with --data and --model");
  }
  return benchmark == Benchmark::kRmb ? rmb_row(row) : ppe_row(row, file);
}

}  // namespace charm::evaluate
