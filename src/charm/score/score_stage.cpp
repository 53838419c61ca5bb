#include "charm/score/score_stage.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/log.h"
#include "charm/score/resumed_scoring.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::score {
namespace {

std::vector<Response> read_all(const ScoreStageOptions& options, storage::Manifest& manifest) {
  std::vector<Response> rows;
  std::vector<std::pair<fs::path, std::set<std::string>>> policies_of_files;
  storage::ReadOptions read_options;
  read_options.max_bad_rows = options.max_bad_rows;
  for (const fs::path& file : options.responses) {
    std::vector<Response> read = storage::read_responses(file, read_options);
    manifest.input(file, static_cast<std::int64_t>(read.size()));
    std::set<std::string> policies;
    for (const Response& row : read) policies.insert(row.policy);
    policies_of_files.emplace_back(file, std::move(policies));
    std::move(read.begin(), read.end(), std::back_inserter(rows));
  }
  storage::check_distinct_policies(policies_of_files);
  return rows;
}

/// Results of one policy each, in order of first appearance.
std::vector<std::pair<std::string, std::vector<ScoredResponse>>> by_policy(std::vector<ScoredResponse> results) {
  std::vector<std::pair<std::string, std::vector<ScoredResponse>>> groups;
  std::map<std::string, std::size_t> place;
  for (ScoredResponse& row : results) {
    const auto [entry, is_new] = place.try_emplace(row.response.policy, groups.size());
    if (is_new) groups.emplace_back(row.response.policy, std::vector<ScoredResponse>());
    groups[entry->second].second.push_back(std::move(row));
  }
  return groups;
}

const char* name_of(text::Truncation truncation) {
  switch (truncation) {
    case text::Truncation::kLeft: return "left";
    case text::Truncation::kRight: return "right";
    case text::Truncation::kError: return "error";
  }
  return "";
}

void record_options(const ScoreStageOptions& options, const model::RewardModel& model,
                    const text::ConversationEncoder& encoder, storage::Manifest& manifest) {
  manifest.input(options.model_dir)
      .option("max-tokens", encoder.options().max_tokens)
      .option("truncation", name_of(options.encoder.truncation))
      .option("bos", options.encoder.bos == text::BosPolicy::kOnce ? "once" : "as-template")
      .option("pooling", options.scorer.pooling == Pooling::kAuto ? "auto" : "last")
      .option("template-date", options.encoder.template_date)
      .option("template-sha256", encoder.chat_template().sha256());
  for (const auto& [name, value] : model.provenance()) manifest.option(name, value);
}

/// True when an earlier run with these options and inputs left every file.
bool is_finished(const fs::path& output, const std::vector<fs::path>& files, const storage::Manifest& manifest) {
  const fs::path path = output / "manifest.json";
  if (!fs::exists(path)) return false;
  for (const fs::path& file : files) {
    if (!fs::exists(file)) return false;
  }
  const auto stored = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  return stored.is_object() && stored.value("fingerprint", "") == manifest.fingerprint();
}

void summarise(const std::vector<ScoredResponse>& results, ScoreStageResult& summary) {
  for (const ScoredResponse& row : results) {
    summary.num_errors += row.error ? 1 : 0;
    summary.num_truncated += row.truncated ? 1 : 0;
  }
  summary.num_rows = static_cast<std::int64_t>(results.size());
}

void check_errors(const std::vector<ScoredResponse>& results, std::int64_t num_errors, std::int64_t max_bad_rows) {
  if (num_errors <= max_bad_rows) return;
  const auto bad = std::find_if(results.begin(), results.end(), [](const ScoredResponse& r) { return r.error.has_value(); });
  throw Error(ErrorKind::kInput,
              "{} of {} rows have no score, first: policy {}, prompt {}: {}; expected at most {} (--max-bad-rows)", num_errors,
              results.size(), bad->response.policy, bad->response.prompt_id, *bad->error, max_bad_rows);
}

}  // namespace

fs::path score_file(const fs::path& folder, const std::string& policy) {
  std::string name = policy;
  for (char& c : name) {
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '_';
  }
  return folder / (name + ".parquet");
}

namespace {

ScoreStageResult score_with(const ScoreStageOptions& options, const ProgressFn& progress, dist::World& world) {
  if (world.is_root()) require_writable(options.output / "manifest.json");
  storage::Manifest manifest("score");
  const std::vector<Response> rows = read_all(options, manifest);
  const std::unique_ptr<model::RewardModel> model = model::load_reward_model(options.model_dir, options.model);

  text::EncoderOptions encoder_options = options.encoder;
  if (encoder_options.max_tokens > model->max_positions()) {
    log::warning("--max-tokens {} is more than the model's {} positions; using those", encoder_options.max_tokens,
                 model->max_positions());
    encoder_options.max_tokens = model->max_positions();
  }
  const text::ConversationEncoder encoder(options.model_dir, encoder_options);
  record_options(options, *model, encoder, manifest);

  ScoreStageResult summary;
  std::set<std::string> names;
  for (const Response& row : rows) {
    if (names.insert(row.policy).second) summary.files.push_back(score_file(options.output, row.policy));
  }
  if (std::set<fs::path>(summary.files.begin(), summary.files.end()).size() != summary.files.size()) {
    throw Error(ErrorKind::kInput, "two policies would share one file in {}: rename one of them", options.output.string());
  }
  const bool finished = world.is_root() && !options.fresh && is_finished(options.output, summary.files, manifest);
  if (world.broadcast(finished ? "finished" : "open") == "finished") {
    log::info("{}: finished before with the same inputs and options; nothing to do (--fresh starts over)", options.output.string());
    summary.num_rows = static_cast<std::int64_t>(rows.size());
    summary.skipped = true;
    world.end();
    return summary;
  }

  std::optional<storage::Journal> journal;
  if (world.is_root()) journal.emplace(options.output, manifest.fingerprint(), options.fresh);
  const auto score_rows = [&](std::span<const Response> todo, const ScoredFn& on_scored) {
    return score_responses(*model, encoder, todo, options.scorer, on_scored, progress);
  };
  std::vector<ScoredResponse> results = score_responses_together(rows, score_rows, journal ? &*journal : nullptr, world);
  if (!world.is_root()) return summary;
  summarise(results, summary);
  check_errors(results, summary.num_errors, options.max_bad_rows);

  manifest.extra("fingerprint", manifest.fingerprint());
  manifest.extra("num_errors", summary.num_errors);
  manifest.extra("num_truncated", summary.num_truncated);
  for (const auto& [policy, scored] : by_policy(std::move(results))) {
    const fs::path file = score_file(options.output, policy);
    storage::write_scores(file, scored);
    manifest.output(file, static_cast<std::int64_t>(scored.size()));
  }
  storage::write_manifest(options.output, manifest);
  journal->remove();
  return summary;
}

}  // namespace

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress) {
  dist::World alone = dist::World::alone();
  return score_with(options, progress, alone);
}

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress, dist::World& world) {
  try {
    return score_with(options, progress, world);
  } catch (const Error& error) {
    world.fail(error);
    throw;
  } catch (const std::exception& error) {
    world.fail(Error(ErrorKind::kInternal, "{}", error.what()));
    throw;
  }
}

}  // namespace charm::score
