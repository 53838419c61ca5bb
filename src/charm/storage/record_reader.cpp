#include "charm/storage/record_reader.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/joined_prompts.h"
#include "charm/storage/provenance.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"
#include "charm/storage/row_source.h"
#include "charm/storage/unique_ids.h"

namespace charm::storage {
namespace {

// Calls consume(parse(row)) for every row; a kInput error of parse rejects the row.
template <typename Parse, typename Consume>
void for_each_row(RowReader& reader, const Parse& parse, const Consume& consume) {
  while (const RowView* row = reader.next()) {
    std::optional<std::invoke_result_t<Parse, const RowView&>> record;
    std::string problem;
    try {
      record.emplace(parse(*row));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInput) throw;
      problem = e.message();
    }
    if (record) {
      consume(*std::move(record));
    } else {
      reader.reject(problem);
    }
  }
  reader.finish();
}

// As `for_each_row`, into a vector.
template <typename Parse>
auto collect_rows(RowReader& reader, const Parse& parse) {
  std::vector<std::invoke_result_t<Parse, const RowView&>> records;
  for_each_row(reader, parse,
               [&](auto&& record) { records.push_back(std::forward<decltype(record)>(record)); });
  return records;
}

std::vector<std::string> column_list(std::initializer_list<std::span<const char* const>> groups,
                                     std::initializer_list<const char*> more) {
  std::vector<std::string> columns(more.begin(), more.end());
  for (const auto& group : groups) columns.insert(columns.end(), group.begin(), group.end());
  return columns;
}

bool has_any(const RowView& row, std::span<const char* const> columns) {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const char* column) { return row.has(column); });
}

// A row of `charm generate` with an error instead of a response.
bool is_failed_generation(const RowView& row) {
  if (has_any(row, kResponseColumns) || has_any(row, kMessageColumns)) return false;
  const std::optional<std::string> error = text_field(row, "error");
  return error && !error->empty();
}

// A row whose prompt is only given as the common prefix of chosen and rejected.
bool is_pair_alone(const RowView& row) {
  return !row.has("prompt") && !row.has("instruction") && !has_any(row, kMessageColumns);
}

void keep_first_user_turn(Conversation& messages) {
  const auto user = std::find_if(messages.begin(), messages.end(),
                                 [](const Message& message) { return message.role == "user"; });
  if (user != messages.end()) messages.erase(user + 1, messages.end());
}

std::string policy_of(const RowView& row, const RowReader& reader, const ReadOptions& options) {
  if (options.policy) return *options.policy;
  if (auto policy = policy_field(row)) return *std::move(policy);
  return reader.policy_name();
}

std::vector<std::string> columns_of_responses() {
  return column_list({kPromptColumns, kResponseColumns, kPolicyColumns},
                     {"prompt_id", "sample", "finish_reason", "num_tokens", "response_num_tokens",
                      "response_members", "score", "truncated", "error"});
}

// In a scores file num_tokens is the reward model's count and response_num_tokens the generator's.
Response response_of(const RowView& row, const RowReader& reader, const ReadOptions& options,
                     UniqueIds& ids) {
  Exchange exchange = exchange_fields(row);
  Response response;
  response.policy = policy_of(row, reader, options);
  const std::optional<std::int32_t> sample = sample_field(row);
  response.sample = sample.value_or(0);
  response.finish_reason = text_field(row, "finish_reason");
  const bool is_scored = row.contains("score");
  response.num_tokens = count_field(row, is_scored ? "response_num_tokens" : "num_tokens");
  std::optional<std::string> given = prompt_id_field(row);
  response.prompt_id =
      ids.claim(response.policy, given ? *std::move(given) : prompt_id_of(exchange.prompt), sample);
  response.prompt = std::move(exchange.prompt);
  response.response = std::move(exchange.response.content);
  response.members = std::move(exchange.response.members);
  return response;
}

// Empty if a row has no prompt_id and `columns` lack the prompts it would be computed from.
std::optional<ScoreFile> read_scores_of_columns(const std::filesystem::path& path,
                                                const ReadOptions& options,
                                                const std::vector<std::string>& columns,
                                                bool with_prompts) {
  struct NeedsPrompts {};
  RowReader reader(path, options, columns);
  UniqueIds ids;
  ScoreFile file{.name = path.string(), .rows = {}};
  const auto parse = [&](const RowView& row) {
    std::optional<std::string> prompt_id = prompt_id_field(row);
    if (!prompt_id && !with_prompts) throw NeedsPrompts{};
    if (file.prompt_id_type.empty() && prompt_id)
      file.prompt_id_type = row["prompt_id"].type_name();
    if (!prompt_id) prompt_id = prompt_id_of(exchange_fields(row).prompt);
    ScoreField field = score_field(row);
    Score score;
    score.policy = policy_of(row, reader, options);
    score.score = field.score;
    score.error = std::move(field.error);
    const std::optional<std::int32_t> sample = sample_field(row);
    score.sample = sample.value_or(0);
    score.prompt_id = ids.claim(score.policy, *std::move(prompt_id), sample);
    return score;
  };
  try {
    file.rows = collect_rows(reader, parse);
    return file;
  } catch (const NeedsPrompts&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<Prompt> read_prompts(const std::filesystem::path& path, const ReadOptions& options,
                                 PromptTurns turns) {
  RowReader reader(path, options, column_list({kPromptColumns}, {"prompt_id"}));
  UniqueIds ids;
  return collect_rows(reader, [&](const RowView& row) {
    Conversation messages = prompt_field(row);
    if (turns == PromptTurns::kFirst || (turns == PromptTurns::kFirstOfPairs && is_pair_alone(row)))
      keep_first_user_turn(messages);
    std::optional<std::string> given = prompt_id_field(row);
    return Prompt{ids.claim("", given ? *std::move(given) : prompt_id_of(messages), std::nullopt),
                  std::move(messages)};
  });
}

std::vector<Response> read_responses(const std::filesystem::path& path,
                                     const ReadOptions& options) {
  RowReader reader(path, options, columns_of_responses());
  UniqueIds ids;
  std::vector<Response> responses;
  std::int64_t num_failed = 0;
  for_each_row(
      reader,
      [&](const RowView& row) -> std::optional<Response> {
        if (is_failed_generation(row)) return std::nullopt;
        return response_of(row, reader, options, ids);
      },
      [&](std::optional<Response>&& response) {
        if (response) {
          responses.push_back(*std::move(response));
        } else {
          ++num_failed;
        }
      });
  if (responses.empty()) {
    throw Error(ErrorKind::kInput, "{}: none of its {} rows has a response; all have an error",
                path.string(), num_failed);
  }
  if (num_failed > 0)
    log::warning("{}: skipped {} rows that have an error instead of a response", path.string(),
                 num_failed);
  return responses;
}

std::vector<ResponseRow> read_response_rows(std::unique_ptr<RowSource> source, std::string name) {
  const ReadOptions options{.max_bad_rows = std::numeric_limits<std::int64_t>::max()};
  RowReader reader(std::move(source), std::move(name), options);
  UniqueIds ids;
  std::vector<ResponseRow> rows;
  while (const RowView* row = reader.next()) {
    rows.resize(static_cast<std::size_t>(reader.num_rows()));
    try {
      rows.back().response = response_of(*row, reader, options, ids);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInput) throw;
      rows.back().problem = fmt::format("{}: {}", reader.location(), e.message());
    }
  }
  rows.resize(static_cast<std::size_t>(reader.num_rows()));
  for (ResponseRow& row : rows) {
    if (!row.response && row.problem.empty())
      row.problem = fmt::format("{}: not a row of columns", reader.file().string());
  }
  return rows;
}

std::vector<ScoredResponse> read_scored_responses(const std::filesystem::path& path,
                                                  const ReadOptions& options) {
  std::vector<ScoredResponse> rows;
  for_each_scored_response(path, options,
                           [&](ScoredResponse&& row) { rows.push_back(std::move(row)); });
  return rows;
}

void for_each_scored_response(const std::filesystem::path& path, const ReadOptions& options,
                              const std::function<void(ScoredResponse&&)>& body) {
  RowReader reader(path, options, columns_of_responses());
  UniqueIds ids;
  const auto parse = [&](const RowView& row) {
    ScoreField field = score_field(row);
    ScoredResponse scored;
    scored.num_tokens = count_field(row, "num_tokens").value_or(0);
    scored.truncated = flag_field(row, "truncated").value_or(false);
    scored.score = field.score;
    scored.error = std::move(field.error);
    scored.response = response_of(row, reader, options, ids);
    return scored;
  };
  for_each_row(reader, parse, body);
}

ScoreFile read_score_file(const std::filesystem::path& path, const ReadOptions& options) {
  const std::initializer_list<const char*> own = {"prompt_id", "sample", "score", "error"};
  if (auto file = read_scores_of_columns(path, options, column_list({kPolicyColumns}, own),
                                         /*with_prompts=*/false))
    return *std::move(file);
  auto columns = column_list({kPolicyColumns, kPromptColumns, kResponseColumns}, own);
  columns.emplace_back("response_members");
  return *read_scores_of_columns(path, options, columns, /*with_prompts=*/true);
}

std::vector<Score> read_scores(const std::filesystem::path& path, const ReadOptions& options) {
  return read_score_file(path, options).rows;
}

std::vector<Score> read_score_files(std::span<const std::filesystem::path> paths,
                                    const ReadOptions& options) {
  require_one_model(paths);
  std::vector<ScoreFile> files(paths.size());
  parallel_for(paths.size(), /*num_threads=*/0,
               [&](std::size_t i) { files[i] = read_score_file(paths[i], options); });
  std::vector<std::pair<std::filesystem::path, std::set<std::string>>> policies_of_files;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto& policies = policies_of_files.emplace_back(paths[i], std::set<std::string>()).second;
    for (const Score& score : files[i].rows) policies.insert(score.policy);
  }
  check_distinct_policies(policies_of_files);
  check_comparable_ids(files);
  check_joined_prompts(paths, files, options);
  std::vector<Score> all;
  for (ScoreFile& file : files) {
    all.insert(all.end(), std::make_move_iterator(file.rows.begin()),
               std::make_move_iterator(file.rows.end()));
  }
  return all;
}

std::vector<PreferencePair> read_preferences(const std::filesystem::path& path,
                                             const ReadOptions& options) {
  RowReader reader(path, options,
                   column_list({kPromptColumns}, {"prompt_id", "score_chosen", "score_rejected",
                                                  "margin", "policy_chosen", "policy_rejected",
                                                  "chosen_model", "rejected_model"}));
  return collect_rows(reader, [&](const RowView& row) {
    const auto first_text = [&](const char* name, const char* other) {
      const std::optional<std::string> text = text_field(row, name);
      return text ? *text : text_field(row, other).value_or("");
    };
    PairSides sides = pair_fields(row);
    const std::optional<std::string> given = prompt_id_field(row);
    PreferencePair pair;
    pair.prompt_id = given ? *given : prompt_id_of(sides.prompt);
    pair.chosen = std::move(sides.chosen);
    pair.rejected = std::move(sides.rejected);
    pair.score_chosen = number_field(row, "score_chosen");
    pair.score_rejected = number_field(row, "score_rejected");
    pair.margin = number_field(row, "margin");
    pair.policy_chosen = first_text("policy_chosen", "chosen_model");
    pair.policy_rejected = first_text("policy_rejected", "rejected_model");
    return pair;
  });
}

namespace {

// Ids of the types int64, uint32, double, decimal128(38, 0), number, ...
bool has_number_ids(const ScoreFile& file) {
  const std::string_view type = file.prompt_id_type;
  return type.find("string") == std::string_view::npos &&
         (type.find("int") != std::string_view::npos || type == "double" || type == "float" ||
          type.starts_with("decimal") || type == "number");
}

// Throws where ids of `texts` are those of `numbers` in another spelling ("0001" and 1), or where
// the two have none in common.
void check_spelling(const ScoreFile& numbers, const ScoreFile& texts) {
  std::unordered_set<std::string_view> ids;
  for (const Score& row : numbers.rows) ids.insert(row.prompt_id);
  const auto fail = [&](std::string_view what, std::string_view number, std::string_view text) {
    throw Error(
        ErrorKind::kInput,
        "{} and {} {}: the column is {} in the one ('{}') and {} in the other ('{}'); store "
        "the same ids in both",
        numbers.name, texts.name, what, numbers.prompt_id_type, number, texts.prompt_id_type, text);
  };
  bool share = false;
  for (const Score& row : texts.rows) {
    const std::string_view id = row.prompt_id;
    if (ids.contains(id)) {
      share = true;
      continue;
    }
    const std::size_t digits = std::min(id.find_first_not_of('0'), id.size() - 1);
    if (ids.contains(id.substr(digits))) fail("spell prompt_id differently", id.substr(digits), id);
  }
  if (!share)
    fail("share no prompt_id", numbers.rows.front().prompt_id, texts.rows.front().prompt_id);
}

}  // namespace

void check_comparable_ids(std::span<const ScoreFile> files) {
  const auto numbers = std::ranges::find_if(files, has_number_ids);
  if (numbers == files.end()) return;
  for (const ScoreFile& file : files) {
    if (!file.prompt_id_type.empty() && !has_number_ids(file)) check_spelling(*numbers, file);
  }
}

void check_distinct_policies(
    const std::vector<std::pair<std::filesystem::path, std::set<std::string>>>& policies_of_files) {
  std::map<std::string, std::filesystem::path> owner;
  for (const auto& [path, policies] : policies_of_files) {
    for (const std::string& policy : policies) {
      const auto [claim, is_new] = owner.emplace(policy, path);
      if (!is_new) {
        throw Error(
            ErrorKind::kInput,
            "{} and {} both hold rows of policy '{}'; the rows of a policy must be in one file",
            claim->second.string(), path.string(), policy);
      }
    }
  }
}

}  // namespace charm::storage
