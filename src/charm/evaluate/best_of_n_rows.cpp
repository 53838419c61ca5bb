#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "charm/base/error.h"
#include "charm/evaluate/best_of_n.h"
#include "charm/storage/provenance.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::evaluate {
namespace {

// true, false, or a number.
std::optional<double> label_field(const storage::RowView& row) {
  const storage::Value value = row["label"];
  if (value.is_null()) return std::nullopt;
  if (value.kind() == storage::ValueKind::kBool) return value.boolean() ? 1.0 : 0.0;
  return storage::number_of(value, "label");
}

std::optional<Candidate> candidate_of(const storage::RowView& row,
                                      const storage::RowReader& reader) {
  const storage::ScoreField score = storage::score_field(row);
  if (score.error) return std::nullopt;
  const storage::Exchange exchange = storage::exchange_fields(row);
  Candidate candidate;
  candidate.score = static_cast<double>(score.score);
  candidate.prompt_id = storage::prompt_id_field(row).value_or(std::string());
  if (candidate.prompt_id.empty()) candidate.prompt_id = prompt_id_of(exchange.prompt);
  candidate.policy = storage::policy_field(row).value_or(reader.policy_name());
  candidate.sample = storage::sample_field(row).value_or(0);
  candidate.features = response_features(exchange.response.content);
  candidate.gold_score = storage::number_field(row, "gold_score");
  candidate.label = label_field(row);
  return candidate;
}

std::vector<std::string> candidate_columns() {
  std::vector<std::string> columns = {"prompt_id", "sample", "score",
                                      "error",     "label",  "gold_score"};
  for (const auto& names : {std::span<const char* const>(storage::kPromptColumns),
                            std::span<const char* const>(storage::kResponseColumns),
                            std::span<const char* const>(storage::kMessageColumns),
                            std::span<const char* const>(storage::kPolicyColumns)}) {
    columns.insert(columns.end(), names.begin(), names.end());
  }
  columns.emplace_back("response_members");
  std::ranges::sort(columns);
  columns.erase(std::ranges::unique(columns).begin(), columns.end());
  return columns;
}

}  // namespace

CandidateRows read_candidates(std::span<const fs::path> paths, std::int64_t max_bad_rows) {
  storage::require_one_model(paths);
  CandidateRows result;
  std::set<std::tuple<std::string, std::string, std::int32_t>> seen;
  for (const fs::path& path : paths) {
    storage::RowReader reader(path, {.max_bad_rows = max_bad_rows, .split = {}, .policy = {}},
                              candidate_columns());
    while (const storage::RowView* row = reader.next()) {
      std::optional<Candidate> candidate;
      try {
        candidate = candidate_of(*row, reader);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kInput) throw;
        reader.reject(error.message());
        continue;
      }
      if (!candidate) {
        ++result.num_errors;
        continue;
      }
      if (!seen.emplace(candidate->policy, candidate->prompt_id, candidate->sample).second) {
        throw Error(ErrorKind::kInput,
                    "{}: policy '{}' has a second response to prompt {}, sample {}; number the "
                    "samples of a prompt in a column sample",
                    reader.location(), candidate->policy, candidate->prompt_id, candidate->sample);
      }
      result.rows.push_back(std::move(*candidate));
    }
    reader.finish();
  }
  return result;
}

}  // namespace charm::evaluate
