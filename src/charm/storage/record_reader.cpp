#include "charm/storage/record_reader.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/storage/arrow_batches.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::storage {
namespace {

// Separated by NUL: distinct triples have distinct keys unless names contain NUL.
std::string key_of(const std::string& policy, const std::string& prompt_id, std::int32_t sample) {
  std::string key;
  key.reserve(policy.size() + prompt_id.size() + 14);
  key.append(policy).append(1, '\0').append(prompt_id).append(1, '\0').append(
      std::to_string(sample));
  return key;
}

// Keeps (policy, prompt_id, sample) unique within a dataset.
class UniqueIds {
 public:
  // With a sample number: `prompt_id` itself, or a kInput error (without location) for a repeated
  // key. Without one: `prompt_id` the first time, then with "-2", "-3", ...
  std::string claim(const std::string& policy, const std::string& prompt_id,
                    std::optional<std::int32_t> sample);

 private:
  std::unordered_set<std::string> keys_;
  std::unordered_map<std::string, int> repeats_;
};

std::string UniqueIds::claim(const std::string& policy, const std::string& prompt_id,
                             std::optional<std::int32_t> sample) {
  if (keys_.insert(key_of(policy, prompt_id, sample.value_or(0))).second) return prompt_id;
  if (sample) {
    throw Error(ErrorKind::kInput, "prompt_id '{}' with sample {} of policy '{}' occurs twice",
                prompt_id, *sample, policy);
  }
  int& repeat = repeats_.try_emplace(key_of(policy, prompt_id, 0), 1).first->second;
  while (true) {
    // An id such as "x-2" may be taken: then the next number.
    std::string candidate = fmt::format("{}-{}", prompt_id, ++repeat);
    if (keys_.insert(key_of(policy, candidate, 0)).second) return candidate;
  }
}

// Calls consume(parse(row)) for every row; a kInput error of parse rejects the row.
template <typename Parse, typename Consume>
void for_each_row(RowReader& reader, const Parse& parse, const Consume& consume) {
  nlohmann::ordered_json row;
  while (reader.next(row)) {
    std::optional<decltype(parse(row))> record;
    std::string problem;
    try {
      record.emplace(parse(row));
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
  std::vector<std::invoke_result_t<Parse, const nlohmann::ordered_json&>> records;
  for_each_row(reader, parse, [&](auto&& record) { records.push_back(std::move(record)); });
  return records;
}

// A row of `charm generate` with an error instead of a response.
bool is_failed_generation(const nlohmann::ordered_json& row) {
  for (const char* column : {"response", "output", "completion", "messages", "conversations"}) {
    if (row.contains(column) && !row[column].is_null()) return false;
  }
  const auto error = row.find("error");
  return error != row.end() && error->is_string() && !error->get_ref<const std::string&>().empty();
}

// A row whose prompt is only given as the common prefix of chosen and rejected.
bool is_pair_alone(const nlohmann::ordered_json& row) {
  for (const char* column : {"prompt", "instruction", "messages", "conversations"}) {
    if (row.contains(column) && !row[column].is_null()) return false;
  }
  return true;
}

void keep_first_user_turn(Conversation& messages) {
  const auto user = std::find_if(messages.begin(), messages.end(),
                                 [](const Message& message) { return message.role == "user"; });
  if (user != messages.end()) messages.erase(user + 1, messages.end());
}

std::string policy_of(const nlohmann::ordered_json& row, const RowReader& reader,
                      const ReadOptions& options) {
  if (options.policy) return *options.policy;
  if (auto policy = policy_field(row)) return *std::move(policy);
  return reader.policy_name();
}

// In a scores file num_tokens is the reward model's count and response_num_tokens the generator's.
Response response_of(const nlohmann::ordered_json& row, const RowReader& reader,
                     const ReadOptions& options, UniqueIds& ids) {
  Exchange exchange = exchange_fields(row);
  Response response;
  response.policy = policy_of(row, reader, options);
  const std::optional<std::int32_t> sample = sample_field(row);
  response.sample = sample.value_or(0);
  response.finish_reason = text_field(row, "finish_reason");
  const bool is_scored = row.contains("score");
  response.num_tokens = count_field(row, is_scored ? "response_num_tokens" : "num_tokens");
  const std::optional<std::string> given = prompt_id_field(row);
  response.prompt_id =
      ids.claim(response.policy, given ? *given : prompt_id_of(exchange.prompt), sample);
  response.prompt = std::move(exchange.prompt);
  response.response = std::move(exchange.response.content);
  response.members = std::move(exchange.response.members);
  return response;
}

// Empty if a row has no prompt_id and `columns` lack the prompts it would be computed from.
std::optional<std::vector<Score>> read_scores_of_columns(const std::filesystem::path& path,
                                                         const ReadOptions& options,
                                                         const std::vector<std::string>& columns,
                                                         bool with_prompts) {
  struct NeedsPrompts {};
  RowReader reader(path, options, columns);
  UniqueIds ids;
  const auto parse = [&](const nlohmann::ordered_json& row) {
    std::optional<std::string> prompt_id = prompt_id_field(row);
    if (!prompt_id && !with_prompts) throw NeedsPrompts{};
    if (!prompt_id) prompt_id = prompt_id_of(exchange_fields(row).prompt);
    ScoreField field = score_field(row);
    Score score;
    score.policy = policy_of(row, reader, options);
    score.score = field.score;
    score.error = std::move(field.error);
    const std::optional<std::int32_t> sample = sample_field(row);
    score.sample = sample.value_or(0);
    score.prompt_id = ids.claim(score.policy, *prompt_id, sample);
    return score;
  };
  try {
    return collect_rows(reader, parse);
  } catch (const NeedsPrompts&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<Prompt> read_prompts(const std::filesystem::path& path, const ReadOptions& options,
                                 PromptTurns turns) {
  RowReader reader(path, options);
  UniqueIds ids;
  return collect_rows(reader, [&](const nlohmann::ordered_json& row) {
    Conversation messages = prompt_field(row);
    if (turns == PromptTurns::kFirst || (turns == PromptTurns::kFirstOfPairs && is_pair_alone(row)))
      keep_first_user_turn(messages);
    const std::optional<std::string> given = prompt_id_field(row);
    return Prompt{ids.claim("", given ? *given : prompt_id_of(messages), std::nullopt),
                  std::move(messages)};
  });
}

std::vector<Response> read_responses(const std::filesystem::path& path,
                                     const ReadOptions& options) {
  RowReader reader(path, options);
  UniqueIds ids;
  std::vector<Response> responses;
  std::int64_t num_failed = 0;
  for_each_row(
      reader,
      [&](const nlohmann::ordered_json& row) -> std::optional<Response> {
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

std::vector<ScoredResponse> read_scored_responses(const std::filesystem::path& path,
                                                  const ReadOptions& options) {
  std::vector<ScoredResponse> rows;
  for_each_scored_response(path, options,
                           [&](ScoredResponse&& row) { rows.push_back(std::move(row)); });
  return rows;
}

void for_each_scored_response(const std::filesystem::path& path, const ReadOptions& options,
                              const std::function<void(ScoredResponse&&)>& body) {
  RowReader reader(path, options);
  UniqueIds ids;
  const auto parse = [&](const nlohmann::ordered_json& row) {
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

std::vector<Score> read_scores(const std::filesystem::path& path, const ReadOptions& options) {
  if (auto scores = read_score_columns(path, options)) return *std::move(scores);
  std::vector<std::string> columns = {"prompt_id", "policy", "generator", "model",
                                      "sample",    "score",  "error"};
  if (auto scores = read_scores_of_columns(path, options, columns, /*with_prompts=*/false))
    return *std::move(scores);
  for (const char* column :
       {"prompt", "instruction", "input", "messages", "conversations", "system", "history", "tools",
        "response", "output", "completion", "response_members"}) {
    columns.emplace_back(column);
  }
  return *read_scores_of_columns(path, options, columns, /*with_prompts=*/true);
}

std::vector<Score> read_score_files(std::span<const std::filesystem::path> paths,
                                    const ReadOptions& options) {
  std::vector<Score> all;
  std::vector<std::pair<std::filesystem::path, std::set<std::string>>> policies_of_files;
  for (const std::filesystem::path& path : paths) {
    std::vector<Score> scores = read_scores(path, options);
    auto& policies = policies_of_files.emplace_back(path, std::set<std::string>()).second;
    for (const Score& score : scores) policies.insert(score.policy);
    all.insert(all.end(), std::make_move_iterator(scores.begin()),
               std::make_move_iterator(scores.end()));
  }
  check_distinct_policies(policies_of_files);
  return all;
}

std::vector<PreferencePair> read_preferences(const std::filesystem::path& path,
                                             const ReadOptions& options) {
  RowReader reader(path, options);
  return collect_rows(reader, [&](const nlohmann::ordered_json& row) {
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
