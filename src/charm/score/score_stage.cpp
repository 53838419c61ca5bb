#include "charm/score/score_stage.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/log.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_provenance.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::score {
namespace {

constexpr std::size_t kMaxNameBytes = 255;  // of a file, on usual file systems

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
std::vector<std::pair<std::string, std::vector<ScoredResponse>>> by_policy(
    std::vector<ScoredResponse> results) {
  std::vector<std::pair<std::string, std::vector<ScoredResponse>>> groups;
  std::map<std::string, std::size_t> place;
  for (ScoredResponse& row : results) {
    const auto [entry, is_new] = place.try_emplace(row.response.policy, groups.size());
    if (is_new) groups.emplace_back(row.response.policy, std::vector<ScoredResponse>());
    groups[entry->second].second.push_back(std::move(row));
  }
  return groups;
}

void record_options(const ScoreStageOptions& options, const model::RewardModel& model,
                    const text::ConversationEncoder& encoder, const storage::ModelHashes& hashes,
                    const storage::Provenance& provenance, storage::Manifest& manifest) {
  manifest.input_hashed(options.model_dir, hashes.folder)
      .option("max-tokens", encoder.options().max_tokens)
      .option("truncation", *storage::find_fact(provenance, "truncation"))
      .option("bos", *storage::find_fact(provenance, "bos"))
      .option("pooling", *storage::find_fact(provenance, "pooling"))
      .option("template-date", options.encoder.template_date)
      .option("template-sha256", encoder.chat_template().sha256());
  for (const auto& [name, value] : model.provenance()) manifest.option(name, value);
  for (const fs::path& file : options.resume) manifest.input(file);
  manifest.extra("provenance", nlohmann::ordered_json::parse(storage::provenance_json(provenance)));
}

/// True if an earlier run with these options and inputs wrote every file.
bool is_finished(const fs::path& output, const std::vector<fs::path>& files,
                 const storage::Manifest& manifest) {
  for (const fs::path& file : files) {
    if (!fs::exists(file)) return false;
  }
  return storage::recorded_fingerprint(output) == manifest.fingerprint();
}

bool same_texts(const Response& a, const Response& b) {
  return a.response == b.response && conversation_json(a.prompt) == conversation_json(b.prompt);
}

using Key = std::tuple<std::string, std::string, std::int32_t>;

Key key_of(const Response& row) { return {row.policy, row.prompt_id, row.sample}; }

/// Copies the scores of `earlier` for rows with equal texts into `results`; returns the indices of
/// the other rows.
std::vector<std::size_t> reuse_scores(std::vector<ScoredResponse> earlier,
                                      std::vector<ScoredResponse>& results) {
  std::map<Key, ScoredResponse*> by_key;
  for (ScoredResponse& row : earlier) {
    if (!row.error) by_key[key_of(row.response)] = &row;
  }
  std::vector<std::size_t> pending;
  for (std::size_t r = 0; r < results.size(); ++r) {
    const auto found = by_key.find(key_of(results[r].response));
    if (found == by_key.end() || !same_texts(found->second->response, results[r].response)) {
      pending.push_back(r);
      continue;
    }
    results[r].score = found->second->score;
    results[r].num_tokens = found->second->num_tokens;
    results[r].truncated = found->second->truncated;
    results[r].error.reset();
  }
  return pending;
}

/// Results for `rows` without scores.
std::vector<ScoredResponse> unscored(const std::vector<Response>& rows) {
  std::vector<ScoredResponse> results;
  results.reserve(rows.size());
  for (const Response& row : rows)
    results.push_back({.response = row, .score = 0.0f, .error = "no score"});
  return results;
}

/// The rows of finished files, in the order of `rows`.
std::vector<ScoredResponse> read_finished(const std::vector<Response>& rows,
                                          const std::vector<fs::path>& files) {
  std::map<Key, ScoredResponse> by_key;
  for (const fs::path& file : files) {
    storage::for_each_scored_response(file, {}, [&](ScoredResponse&& row) {
      Key key = key_of(row.response);
      by_key.insert_or_assign(std::move(key), std::move(row));
    });
  }
  std::vector<ScoredResponse> results = unscored(rows);
  for (ScoredResponse& row : results) {
    if (const auto found = by_key.find(key_of(row.response)); found != by_key.end())
      row = found->second;
  }
  return results;
}

/// If options.check is given. Runs on the written files, so that scores are kept if the comparison
/// fails.
std::optional<ScoreCheck> check_finished(const ScoreStageOptions& options,
                                         const storage::Provenance& provenance,
                                         const std::vector<Response>& rows,
                                         const std::vector<fs::path>& files) {
  if (options.check.empty()) return std::nullopt;
  const bool bfloat16 = *storage::find_fact(provenance, "dtype") == "bfloat16";
  return check_scores(read_finished(rows, files), options.check,
                      options.check_tolerance.value_or(default_tolerance(bfloat16)));
}

void summarise(const std::vector<ScoredResponse>& results, ScoreStageResult& summary) {
  for (const ScoredResponse& row : results) {
    summary.num_errors += row.error ? 1 : 0;
    summary.num_truncated += row.truncated ? 1 : 0;
  }
  summary.num_rows = static_cast<std::int64_t>(results.size());
}

void check_errors(const std::vector<ScoredResponse>& results, std::int64_t num_errors,
                  std::int64_t max_bad_rows) {
  if (num_errors <= std::max<std::int64_t>(max_bad_rows, 0)) return;
  const auto bad = std::find_if(results.begin(), results.end(),
                                [](const ScoredResponse& r) { return r.error.has_value(); });
  throw Error(ErrorKind::kInput,
              "{} of {} rows have no score, first: policy {}, prompt {}: {}; expected at most {} "
              "(--max-bad-rows)",
              num_errors, results.size(), bad->response.policy, bad->response.prompt_id,
              *bad->error, max_bad_rows);
}

/// Checks that every policy has its own output file, distinct from the inputs.
void check_files(const ScoreStageOptions& options, const std::vector<fs::path>& files) {
  if (std::set<fs::path>(files.begin(), files.end()).size() != files.size()) {
    throw Error(ErrorKind::kInput, "two policies would share one file in {}: rename one of them",
                options.output.string());
  }
  for (const fs::path& file : files) {
    require_distinct(file, options.responses);
    if (partial_path(file).filename().string().size() <= kMaxNameBytes) continue;
    throw Error(ErrorKind::kInput,
                "the policy name '{}...' is too long for a file name: {} bytes; rename it",
                file.stem().string().substr(0, 40), file.stem().string().size());
  }
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

ScoreStageResult score_with(const ScoreStageOptions& options, const ProgressFn& progress,
                            dist::World& world) {
  if (world.is_root()) require_writable(options.output / "manifest.json");
  storage::Manifest manifest("score");
  const std::vector<Response> rows = read_all(options, manifest);
  const std::unique_ptr<model::RewardModel> model =
      model::load_reward_model(options.model_dir, options.model);

  text::EncoderOptions encoder_options = options.encoder;
  if (encoder_options.max_tokens > model->max_positions()) {
    log::warning("--max-tokens {} is more than the model's {} positions; using those",
                 encoder_options.max_tokens, model->max_positions());
    encoder_options.max_tokens = model->max_positions();
  }
  const text::ConversationEncoder encoder(options.model_dir, encoder_options);
  const storage::ModelHashes hashes = hash_model(options.model_dir, world);
  const storage::Provenance provenance = score_provenance(options, *model, encoder, hashes);
  record_options(options, *model, encoder, hashes, provenance, manifest);

  ScoreStageResult summary;
  std::set<std::string> names;
  for (const Response& row : rows) {
    if (names.insert(row.policy).second)
      summary.files.push_back(score_file(options.output, row.policy));
  }
  check_files(options, summary.files);
  if (world.is_root() && !options.fresh && !options.replace_other_model) {
    require_same_model(options.output, summary.files, provenance, journal_owner_of(hashes));
  }
  const bool finished =
      world.is_root() && !options.fresh && is_finished(options.output, summary.files, manifest);
  if (world.broadcast(finished ? "finished" : "open") == "finished") {
    log::info("{}: complete already with the same inputs and options (--fresh starts over)",
              options.output.string());
    summary.num_rows = static_cast<std::int64_t>(rows.size());
    summary.skipped = true;
    world.end();
    if (world.is_root()) summary.check = check_finished(options, provenance, rows, summary.files);
    return summary;
  }

  std::vector<ScoredResponse> results = unscored(rows);
  const std::vector<std::size_t> pending =
      reuse_scores(read_resumed(options.resume, provenance), results);
  std::vector<Response> todo;
  for (const std::size_t r : pending) todo.push_back(rows[r]);
  summary.num_resumed = static_cast<std::int64_t>(rows.size() - todo.size());

  std::optional<storage::Journal> journal;
  if (world.is_root())
    journal.emplace(options.output, manifest.fingerprint(), options.fresh,
                    journal_owner_of(hashes));
  const auto score_rows = [&](std::span<const Response> batch, const ScoredFn& on_scored) {
    return score_responses(*model, encoder, batch, options.scorer, on_scored, progress);
  };
  std::vector<ScoredResponse> scored =
      score_responses_distributed(todo, score_rows, journal ? &*journal : nullptr, world);
  if (!world.is_root()) return summary;
  for (std::size_t i = 0; i < pending.size(); ++i) results[pending[i]] = std::move(scored[i]);
  summarise(results, summary);
  check_errors(results, summary.num_errors, options.max_bad_rows);

  manifest.extra("fingerprint", manifest.fingerprint());
  manifest.extra("num_errors", summary.num_errors);
  manifest.extra("num_truncated", summary.num_truncated);
  for (const auto& [policy, policy_rows] : by_policy(std::move(results))) {
    const fs::path file = score_file(options.output, policy);
    storage::write_scores(file, policy_rows, provenance);
    manifest.output(file, static_cast<std::int64_t>(policy_rows.size()));
  }
  storage::write_manifest(options.output, manifest);
  journal->remove();
  summary.check = check_finished(options, provenance, rows, summary.files);
  return summary;
}

}  // namespace

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress) {
  dist::World alone = dist::World::alone();
  return score_with(options, progress, alone);
}

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress,
                             dist::World& world) {
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
