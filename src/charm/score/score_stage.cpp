#include "charm/score/score_stage.h"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/interrupt.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/reused_scores.h"
#include "charm/score/score_manifest.h"
#include "charm/score/score_plan.h"
#include "charm/score/score_provenance.h"
#include "charm/score/score_work.h"
#include "charm/score/tied_scores.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/published_scores.h"
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

/// If options.check is given. Runs on the written files, so that scores are kept if the comparison
/// fails.
std::optional<ScoreCheck> check_finished(const ScoreStageOptions& options,
                                         const storage::Provenance& provenance,
                                         const RowStore& rows, const std::vector<fs::path>& files) {
  if (options.check.empty()) return std::nullopt;
  const bool bfloat16 = *storage::find_fact(provenance, "dtype") == "bfloat16";
  return check_scores(read_finished(rows, files), options.check,
                      options.check_tolerance.value_or(default_tolerance(bfloat16)));
}

/// Throws kInput if too many rows of the pending policies have no score.
void check_errors(const Work& work, const std::vector<RowScore>& results,
                  std::int64_t max_bad_rows) {
  std::int64_t num_rows = 0, num_errors = 0;
  std::optional<std::size_t> first;
  for (const PolicyPart& part : work.parts) {
    if (part.finished) continue;
    num_rows += std::ssize(part.rows);
    for (const std::size_t r : part.rows) {
      if (!results[r].error) continue;
      ++num_errors;
      if (!first) first = r;
    }
  }
  if (num_errors <= std::max<std::int64_t>(max_bad_rows, 0)) return;
  throw Error(ErrorKind::kInput,
              "{} of {} rows have no score, first: policy {}, prompt {}: {}; expected at most {} "
              "(--max-bad-rows)",
              num_errors, num_rows, work.rows[*first].policy, work.rows[*first].prompt_id,
              *results[*first].error, max_bad_rows);
}

/// Counts the rows whose scores need no pass of the model.
void count_reused(const Work& work, const std::vector<bool>& reused, ScoreStageResult& summary) {
  for (const PolicyPart& part : work.parts) {
    const auto num_rows =
        std::count_if(part.rows.begin(), part.rows.end(), [&](std::size_t r) { return reused[r]; });
    summary.num_reused += num_rows;
    summary.num_reused_policies += num_rows > 0 ? 1 : 0;
  }
}

void tell_plan(const ScoreStageOptions& options, model::RewardModel& model,
               const text::ConversationEncoder& encoder, const RowStore& store,
               const std::vector<bool>& done, int num_processes) {
  if (log::level() > log::Level::kInfo) return;
  std::vector<std::size_t> pending;
  for (std::size_t r = 0; r < store.size(); ++r) {
    if (!done[r]) pending.push_back(r);
  }
  log::info("{}", model_text(options, model));
  const ScorePlan plan = plan_scoring(model, encoder, store, pending, options.scorer.pooling);
  log::info("{}", plan_text(plan, num_processes));
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

/// Writes the files of the pending policies and updates the folder's manifest.
void write_outputs(const ScoreStageOptions& options, const Work& work,
                   const std::vector<RowScore>& results, const storage::Provenance& provenance,
                   const storage::Manifest& manifest, ScoreStageResult& summary) {
  nlohmann::ordered_json json = manifest.to_json();
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
    json["outputs"].push_back(entry.to_json());
  }
  storage::update_manifest(options.output, [&](const nlohmann::ordered_json& existing) {
    return with_other_policies(json, existing, options.output);
  });
}

ScoreStageResult score_with(const ScoreStageOptions& options, const ProgressFn& progress,
                            dist::World& world) {
  if (world.is_root()) require_writable_folder(options.output);
  if (world.is_root()) require_writable(options.output / ".write");  // hidden from readers
  if (world.is_root()) keep_companions_outside(options.output);
  Work work = read_work(options);
  ScoreStageResult summary;
  summary.num_rows = static_cast<std::int64_t>(work.rows.size());
  for (const PolicyPart& part : work.parts) summary.files.push_back(part.file);
  std::optional<OutputLock> lock;
  if (world.is_root()) lock.emplace(summary.files);
  const model::ModelSource model_source =
      model::resolve_model_source(options.model_dir, options.model.source);
  const std::unique_ptr<model::RewardModel> model =
      model::load_reward_model(model_source, options.model);

  const text::ConversationEncoder encoder(model_source.tokenizer_folder,
                                          encoder_options(options.encoder, *model, model_source));
  const storage::ModelHashes hashes = hash_model(model_source, world);
  const storage::Provenance provenance = score_provenance(options, *model, encoder, hashes);
  for (PolicyPart& part : work.parts) {
    const ResponseFile& source = work.sources[part.source];
    part.manifest.emplace(score_manifest(options, *model, encoder, provenance))
        .input_hashed(source.path, source.sha256)
        .input_hashed(options.model_dir, hashes.folder);
    part.fingerprint = part.manifest->fingerprint();
  }
  if (world.is_root() && !options.fresh && !options.replace_other_model)
    require_same_model(summary.files, provenance, journal_owner_of(hashes));
  if (world.is_root() && !options.fresh) find_finished(options.output, work.parts);
  const auto num_finished =
      std::count_if(work.parts.begin(), work.parts.end(),
                    [](const PolicyPart& part) { return part.finished.has_value(); });
  const bool finished = num_finished == std::ssize(work.parts);
  if (world.broadcast(finished ? "finished" : "open") == "finished") {
    log::info("{}: complete already with the same inputs and options (--fresh starts over)",
              options.output.string());
    summary.skipped = true;
    count_reused(work, std::vector<bool>(work.rows.size(), true), summary);
    for (const PolicyPart& part : work.parts) {
      if (!part.finished) continue;  // of other ranks
      summary.num_errors += part.finished->num_errors;
      summary.num_truncated += part.finished->num_truncated;
    }
    world.end();
    if (world.is_root())
      summary.check = check_finished(options, provenance, work.rows, summary.files);
    return summary;
  }
  if (num_finished > 0) {
    log::info("{}: {} of {} policies complete already with the same inputs and options",
              options.output.string(), num_finished, work.parts.size());
  }
  // Before the journals: what --resume refuses leaves none behind.
  KnownResults known = reusable_results(options, provenance, work);
  count_reused(work, known.done, summary);
  std::optional<Interruptible> interrupts;
  if (world.is_root()) {
    interrupts.emplace(Interruptible::When::kAtOnce,
                       "the finished rows are kept; run the same command again to continue");
    tell_plan(options, *model, encoder, work.rows, known.done, world.size());
  }
  std::deque<storage::Journal> journals;
  std::vector<JournalPart> journal_parts;
  for (const PolicyPart& part : work.parts) {
    if (part.finished || !world.is_root()) continue;
    journal_parts.push_back({&journals.emplace_back(part.file, part.fingerprint, options.fresh,
                                                    journal_owner_of(hashes)),
                             part.rows});
  }
  RowJournals row_journals(std::move(journal_parts), work.rows.size());
  ScorerOptions scorer = options.scorer;
  scorer.threads = options.model.threads;
  const auto score = [&](const RowStore& store, std::span<const std::size_t> rows,
                         const ScoredFn& on_scored) {
    return score_rows(*model, encoder, store, rows, scorer, on_scored, progress);
  };
  const std::vector<RowScore> results = score_rows_distributed(
      work.rows, std::move(known), score, world.is_root() ? &row_journals : nullptr, world);
  if (!world.is_root()) return summary;
  check_errors(work, results, options.max_bad_rows);
  warn_of_ties(encoder.chat_template(), work.rows, results);
  lock->require_held();
  storage::Manifest manifest = score_manifest(options, *model, encoder, provenance);
  for (const ResponseFile& source : work.sources)
    manifest.input_hashed(source.path, source.sha256, source.num_rows);
  manifest.input_hashed(options.model_dir, hashes.folder);
  for (const fs::path& file : options.resume) manifest.input(file);
  write_outputs(options, work, results, provenance, manifest, summary);
  for (storage::Journal& journal : journals) journal.remove();
  summary.check = check_finished(options, provenance, work.rows, summary.files);
  return summary;
}

}  // namespace

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress) {
  if (!options.votes.empty()) return score_votes(options, progress);
  dist::World alone = dist::World::alone();
  return score_with(options, progress, alone);
}

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress,
                             dist::World& world) {
  try {
    if (options.votes.empty()) return score_with(options, progress, world);
    if (world.size() == 1) return score_votes(options, progress);
    throw Error(ErrorKind::kUsage, "--votes runs in one process, found {}", world.size());
  } catch (const Error& error) {
    world.fail(error);
    throw;
  } catch (const std::exception& error) {
    world.fail(Error(ErrorKind::kInternal, "{}", error.what()));
    throw;
  }
}

std::string reuse_text(const ScoreStageResult& result) {
  return fmt::format("reused {} rows of {} policies, scored {} rows", result.num_reused,
                     result.num_reused_policies, result.num_rows - result.num_reused);
}

}  // namespace charm::score
