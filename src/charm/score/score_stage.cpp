#include "charm/score/score_stage.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/interrupt.h"
#include "charm/base/log.h"
#include "charm/score/merge_shards.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_output.h"
#include "charm/score/score_plan.h"
#include "charm/score/score_provenance.h"
#include "charm/score/score_work.h"
#include "charm/score/shard_journals.h"
#include "charm/score/tied_scores.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"

namespace charm::score {
namespace {

/// The model of a run and what its scores depend on.
struct Scorer {
  engine::ModelSource source;
  std::unique_ptr<engine::RewardModel> model;
  text::ConversationEncoder encoder;
  storage::ModelHashes hashes;
  storage::Provenance provenance;
};

Scorer load_scorer(const ScoreStageOptions& options, engine::ModelSource source) {
  std::unique_ptr<engine::RewardModel> model = engine::load_reward_model(source, options.model);
  require_pooling(*model, options.scorer.pooling);
  text::ConversationEncoder encoder(source.tokenizer_folder,
                                    encoder_options(options.encoder, *model, source));
  const storage::ModelHashes hashes = storage::hash_model(source.folders());
  storage::Provenance provenance = score_provenance(options, *model, encoder, hashes);
  return {.source = std::move(source),
          .model = std::move(model),
          .encoder = std::move(encoder),
          .hashes = hashes,
          .provenance = std::move(provenance)};
}

/// Fills in the parts' fingerprints.
void identify_parts(const ScoreStageOptions& options, const Scorer& scorer, Work& work) {
  for (PolicyPart& part : work.parts) {
    const ResponseFile& source = work.sources[part.source];
    part.manifest.emplace(score_manifest(options, *scorer.model, scorer.encoder, scorer.provenance))
        .input_hashed(source.path, source.sha256)
        .input_hashed(options.model_dir, scorer.hashes.folder);
    part.fingerprint = part.manifest->fingerprint();
  }
}

storage::Manifest manifest_of_run(const ScoreStageOptions& options, const Scorer& scorer,
                                  const Work& work) {
  storage::Manifest manifest =
      score_manifest(options, *scorer.model, scorer.encoder, scorer.provenance);
  for (const ResponseFile& source : work.sources)
    manifest.input_hashed(source.path, source.sha256, source.num_rows);
  manifest.input_hashed(options.model_dir, scorer.hashes.folder);
  for (const fs::path& file : options.resume) manifest.input(file);
  return manifest;
}

ShardRun shard_run_of(const ScoreStageOptions& options, const Scorer& scorer, const Work& work) {
  std::vector<std::string> fingerprints;
  for (const PolicyPart& part : work.parts) fingerprints.push_back(part.fingerprint);
  return make_shard_run(options, fingerprints, journal_owner_of(scorer.hashes),
                        manifest_of_run(options, scorer, work).to_json());
}

/// Counts the rows, of those that this process scores, whose scores need no pass of the model.
void count_reused(const Work& work, std::span<const std::size_t> rows,
                  const std::vector<bool>& reused, ScoreStageResult& summary) {
  std::vector<bool> mine(work.rows.size(), false);
  for (const std::size_t r : rows) mine[r] = true;
  for (const PolicyPart& part : work.parts) {
    const auto num_rows =
        std::ranges::count_if(part.rows, [&](std::size_t r) { return mine[r] && reused[r]; });
    summary.num_reused += num_rows;
    summary.num_reused_policies += num_rows > 0 ? 1 : 0;
  }
}

void tell_plan(const ScoreStageOptions& options, const Scorer& scorer, const RowStore& store,
               std::span<const std::size_t> rows, const std::vector<bool>& done) {
  if (log::level() > log::Level::kInfo) return;
  std::vector<std::size_t> pending;
  for (const std::size_t r : rows) {
    if (!done[r]) pending.push_back(r);
  }
  log::info("{}", model_text(options, *scorer.model));
  const ScorePlan plan =
      plan_scoring(*scorer.model, scorer.encoder, store, pending, options.scorer.pooling);
  log::info("{}", plan_text(plan));
}

/// The journals of the pending policies, of one shard or of the whole run.
class PolicyJournals {
 public:
  PolicyJournals(const ScoreStageOptions& options, std::span<const RunOutput> outputs,
                 std::size_t num_rows, const std::string& owner, const std::optional<ShardRun>& run)
      : rows_(open(options, outputs, owner, run), num_rows) {}

  RowJournals& rows() { return rows_; }
  void remove() {
    for (storage::Journal& journal : journals_) journal.remove();
  }

 private:
  std::vector<JournalPart> open(const ScoreStageOptions& options,
                                std::span<const RunOutput> outputs, const std::string& owner,
                                const std::optional<ShardRun>& run) {
    std::vector<JournalPart> parts;
    for (const RunOutput& output : outputs) {
      const fs::path target = run ? shard_path(output.file, *options.shard) : output.file;
      storage::Journal& journal =
          journals_.emplace_back(target, output.fingerprint, options.fresh, owner,
                                 run ? shard_run_note(*run) : std::string());
      parts.push_back({.journal = &journal, .rows = output.rows});
    }
    return parts;
  }

  std::deque<storage::Journal> journals_;  // before `rows_`, which points to them
  RowJournals rows_;
};

/// Scores `rows` into the journals.
void score_into(const ScoreStageOptions& options, const Scorer& scorer, const Work& work,
                std::span<const std::size_t> rows, RowJournals& journals,
                const ProgressFn& progress, KnownResults& known) {
  tell_plan(options, scorer, work.rows, rows, known.done);
  ScorerOptions scorer_options = options.scorer;
  scorer_options.threads = options.model.threads;
  const auto score = [&](const RowStore& store, std::span<const std::size_t> pending,
                         const ScoredFn& on_scored) {
    return score_rows(*scorer.model, scorer.encoder, store, pending, scorer_options, on_scored,
                      progress);
  };
  score_pending(work.rows, rows, score, journals, known);
}

/// The counts of a shard's own rows.
void count_rows(std::span<const std::size_t> rows, const std::vector<RowScore>& results,
                ScoreStageResult& summary) {
  summary.num_rows = std::ssize(rows);
  for (const std::size_t r : rows) {
    summary.num_errors += results[r].error ? 1 : 0;
    summary.num_truncated += results[r].truncated ? 1 : 0;
  }
}

/// Made before the journals, which others may take as the start of the work.
Interruptible keep_finished_rows() {
  return Interruptible(Interruptible::When::kAtOnce,
                       "the finished rows are kept; run the same command again to continue");
}

/// One shard of the pending policies, then all of them if it is the last one.
ScoreStageResult score_shard(const ScoreStageOptions& options, const Scorer& scorer, Work& work,
                             KnownResults known, const ProgressFn& progress) {
  const ShardRun run = shard_run_of(options, scorer, work);
  const std::vector<RunOutput> outputs = pending_outputs(work);
  require_one_run(outputs, run, options.fresh);
  const std::vector<std::size_t> rows = pending_rows(work, options.shard);
  ScoreStageResult own;
  count_reused(work, rows, known.done, own);
  {
    const Interruptible interrupts = keep_finished_rows();
    PolicyJournals journals(options, outputs, work.rows.size(), run.owner, run);
    score_into(options, scorer, work, rows, journals.rows(), progress, known);
    journals.rows().append_known(rows, known);
  }  // closed, so that other machines read all of it
  check_errors(work.rows, rows, known.results, options.max_bad_rows);
  ScoreStageResult joined = join_shards(options, work, run);
  joined.skipped = false;  // where another process has joined this one's rows, too
  joined.num_reused = joined.num_reused_policies = 0;
  if (joined.unfinished.empty()) return joined;
  joined.num_reused = own.num_reused;
  joined.num_reused_policies = own.num_reused_policies;
  count_rows(rows, known.results, joined);
  return joined;
}

/// All pending policies in this process.
ScoreStageResult score_whole(const ScoreStageOptions& options, const Scorer& scorer,
                             const OutputLock& lock, Work& work, KnownResults known,
                             const ProgressFn& progress) {
  ScoreStageResult summary;
  summary.num_rows = static_cast<std::int64_t>(work.rows.size());
  for (const PolicyPart& part : work.parts) summary.files.push_back(part.file);
  const std::vector<RunOutput> outputs = pending_outputs(work);
  const std::vector<std::size_t> rows = pending_rows(work, std::nullopt);
  count_reused(work, work.rows.all_rows(), known.done, summary);
  if (options.fresh) {
    remove_shards(outputs);
  } else {
    take_shard_results(outputs, known);
  }
  const Interruptible interrupts = keep_finished_rows();
  PolicyJournals journals(options, outputs, work.rows.size(), journal_owner_of(scorer.hashes),
                          std::nullopt);
  score_into(options, scorer, work, rows, journals.rows(), progress, known);
  check_errors(work.rows, rows, known.results, options.max_bad_rows);
  warn_of_ties(scorer.encoder, work.rows, known.results);
  lock.require_held();
  write_outputs(options, work, known.results, scorer.provenance,
                manifest_of_run(options, scorer, work).to_json(), summary);
  journals.remove();
  remove_shards(outputs);
  return summary;
}

ScoreStageResult score_responses(const ScoreStageOptions& options, const ProgressFn& progress) {
  if (fs::exists(options.output / "config.json")) {
    throw Error(ErrorKind::kUsage,
                "--output {}: is a model folder; expected a folder of scores, or a name for one",
                options.output.string());
  }
  require_writable_folder(options.output);
  require_writable(options.output / ".write");  // hidden from readers
  keep_companions_outside(options.output);
  Work work = read_work(options);
  std::vector<fs::path> files;
  for (const PolicyPart& part : work.parts) files.push_back(part.file);
  // Before the lock, which makes the folder of the output.
  engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  const OutputLock lock = lock_for_scoring(files, options.shard);
  const Scorer scorer = load_scorer(options, std::move(source));
  identify_parts(options, scorer, work);
  if (!options.fresh && !options.replace_other_model)
    require_same_model(files, scorer.provenance, journal_owner_of(scorer.hashes));
  if (!options.replace_other_model)
    require_folder_of_model(options.output, files, scorer.provenance);
  if (!options.fresh) find_finished(options.output, work.parts);
  const auto num_finished = std::ranges::count_if(
      work.parts, [](const PolicyPart& part) { return part.finished.has_value(); });
  if (num_finished == std::ssize(work.parts))
    return complete_already(options, work, scorer.provenance);
  if (num_finished > 0) {
    log::info("{}: {} of {} policies complete already with the same inputs and options",
              options.output.string(), num_finished, work.parts.size());
  }
  // Before the journals: what --resume refuses leaves none behind.
  KnownResults known = reusable_results(options, scorer.provenance, work);
  return options.shard ? score_shard(options, scorer, work, std::move(known), progress)
                       : score_whole(options, scorer, lock, work, std::move(known), progress);
}

/// The output's folder and that of its companions are made before the model is loaded: a run that
/// ends before its first journal leaves none. Journals and locks of others keep both.
void remove_empty_output(const fs::path& output) {
  const fs::path companions = companion_folder(output);
  std::error_code error;
  const bool are_empty = fs::is_empty(companions, error) && !error && fs::is_empty(output, error) &&
                         !error && fs::is_directory(output, error);
  if (!are_empty) return;
  fs::remove(companions, error);
  remove_if_empty(companions.parent_path());
  fs::remove(output, error);
}

}  // namespace

ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress) {
  ScoreStageOptions given = options;
  if (given.shard && given.shard->count == 1) given.shard.reset();
  if (given.merge) return merge_stage(given);
  if (!given.votes.empty()) return score_votes(given, progress);
  std::error_code ignored;
  const bool is_new = !fs::exists(given.output, ignored);
  try {
    return score_responses(given, progress);
  } catch (const Error&) {
    if (is_new && !given.shard) remove_empty_output(given.output);
    throw;
  }
}

std::string reuse_text(const ScoreStageResult& result) {
  return fmt::format("reused {} rows of {} policies, scored {} rows", result.num_reused,
                     result.num_reused_policies, result.num_rows - result.num_reused);
}

}  // namespace charm::score
