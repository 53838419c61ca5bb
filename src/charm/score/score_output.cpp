#include "charm/score/score_output.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::score {
namespace {

/// The scores of finished files, in the order of the rows.
std::vector<Score> read_finished(const RowStore& store, const std::vector<fs::path>& files) {
  std::map<RowKey, Score> by_key;
  for (const fs::path& file : files) {
    for (Score& score : storage::read_scores(file, {})) {
      RowKey key{score.policy, score.prompt_id, score.sample};
      by_key.insert_or_assign(std::move(key), std::move(score));
    }
  }
  std::vector<Score> scores;
  for (std::size_t r = 0; r < store.size(); ++r) {
    const Response& row = store[r];
    const auto found = by_key.find(key_of(row));
    scores.push_back(found != by_key.end() ? found->second
                                           : Score{.prompt_id = row.prompt_id,
                                                   .policy = row.policy,
                                                   .sample = row.sample,
                                                   .error = "no score"});
  }
  return scores;
}

PolicyEntry entry_of(const PolicyPart& part, const std::vector<RowScore>& results) {
  PolicyEntry entry;
  for (const std::size_t r : part.rows) {
    entry.num_errors += results[r].error ? 1 : 0;
    entry.num_truncated += results[r].truncated ? 1 : 0;
  }
  entry.num_rows = std::ssize(part.rows);
  entry.fingerprint = part.fingerprint;
  return entry;
}

}  // namespace

void check_errors(const RowStore& store, std::span<const std::size_t> rows,
                  const std::vector<RowScore>& results, std::int64_t max_bad_rows) {
  std::int64_t num_errors = 0;
  std::optional<std::size_t> first;
  for (const std::size_t r : rows) {
    if (!results[r].error) continue;
    ++num_errors;
    if (!first) first = r;
  }
  if (num_errors <= std::max<std::int64_t>(max_bad_rows, 0)) return;
  throw Error(ErrorKind::kInput,
              "{} of {} rows have no score, first: policy {}, prompt {}: {}; expected at most {} "
              "(--max-bad-rows)",
              num_errors, rows.size(), store[*first].policy, store[*first].prompt_id,
              *results[*first].error, max_bad_rows);
}

void write_outputs(const ScoreStageOptions& options, const Work& work,
                   const std::vector<RowScore>& results, const storage::Provenance& provenance,
                   nlohmann::ordered_json manifest, ScoreStageResult& summary) {
  for (const PolicyPart& part : work.parts) {
    PolicyEntry entry;
    if (part.finished) {
      entry = *part.finished;
    } else {
      const auto row_at = [&](std::size_t i) {
        return scored_row(work.rows, part.rows[i], results[part.rows[i]]);
      };
      storage::write_scores(part.file, part.rows.size(), row_at, provenance);
      entry = entry_of(part, results);
    }
    entry.file = part.file;
    entry.inputs = {work.sources[part.source].path.string(), options.model_dir.string()};
    for (const fs::path& file : options.resume) entry.inputs.push_back(file.string());
    summary.num_errors += entry.num_errors;
    summary.num_truncated += entry.num_truncated;
    manifest["outputs"].push_back(entry.to_json());
  }
  storage::update_manifest(options.output, [&](const nlohmann::ordered_json& existing) {
    return with_other_policies(manifest, existing, options.output);
  });
  summary.check = check_finished(options, provenance, work.rows, summary.files);
}

std::optional<ScoreCheck> check_finished(const ScoreStageOptions& options,
                                         const storage::Provenance& provenance,
                                         const RowStore& rows, const std::vector<fs::path>& files) {
  if (options.check.empty()) return std::nullopt;
  const bool bfloat16 = *storage::find_fact(provenance, "dtype") == "bfloat16";
  return check_scores(read_finished(rows, files), options.check,
                      options.check_tolerance.value_or(default_tolerance(bfloat16)));
}

ScoreStageResult complete_already(const ScoreStageOptions& options, const Work& work,
                                  const storage::Provenance& provenance) {
  log::info("{}: complete already with the same inputs and options (--fresh starts over)",
            options.output.string());
  ScoreStageResult summary;
  summary.skipped = true;
  summary.num_rows = summary.num_reused = static_cast<std::int64_t>(work.rows.size());
  summary.num_reused_policies = std::ssize(work.parts);
  for (const PolicyPart& part : work.parts) {
    summary.files.push_back(part.file);
    summary.num_errors += part.finished ? part.finished->num_errors : 0;
    summary.num_truncated += part.finished ? part.finished->num_truncated : 0;
  }
  summary.check = check_finished(options, provenance, work.rows, summary.files);
  return summary;
}

}  // namespace charm::score
