#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/score/merge_shards.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_provenance.h"
#include "charm/score/score_stage.h"
#include "charm/score/shard_journals.h"
#include "charm/score/tied_scores.h"
#include "charm/storage/journal.h"
#include "charm/storage/record_writer.h"
#include "charm/storage/votes.h"

namespace charm::score {
namespace {

void check_vote_options(const ScoreStageOptions& options) {
  const auto refuse = [](bool is_given, std::string_view name) {
    if (is_given) throw Error(ErrorKind::kUsage, "{} has no meaning with --votes", name);
  };
  refuse(!options.responses.empty(), "--responses");
  refuse(!options.resume.empty(), "--resume");
  refuse(!options.check.empty(), "--check");
  storage::require_known_extension(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.votes);
}

/// The votes and their responses, each text once: one response is in many votes.
struct VotedTexts {
  std::vector<VoteTexts> votes;
  std::vector<std::size_t> row_a;  ///< [vote] row of the store
  std::vector<std::size_t> row_b;
  RowStore rows;
};

class VotedTextCollector {
 public:
  void add(VoteTexts&& vote) {
    texts_.row_a.push_back(row_of(vote.conversation_a, vote.vote.model_a));
    texts_.row_b.push_back(row_of(vote.conversation_b, vote.vote.model_b));
    texts_.votes.push_back(std::move(vote));
  }
  VotedTexts take() { return std::move(texts_); }

 private:
  std::size_t row_of(const Conversation& conversation, const std::string& policy) {
    const auto [place, is_new] =
        row_of_text_.try_emplace(prompt_id_of(conversation), texts_.rows.size());
    if (is_new) {
      Conversation prompt = conversation;
      Message response = std::move(prompt.back());
      prompt.pop_back();
      texts_.rows.add({.prompt_id = place->first,
                       .prompt = std::move(prompt),
                       .response = std::move(response.content),
                       .policy = policy,
                       .sample = 0,
                       .finish_reason = {},
                       .num_tokens = {},
                       .members = std::move(response.members)});
    }
    return place->second;
  }

  VotedTexts texts_;
  std::unordered_map<std::string, std::size_t> row_of_text_;  // by hash of the conversation
};

VotedTexts read_votes(const ScoreStageOptions& options, storage::Manifest& manifest) {
  VotedTextCollector collector;
  for (const fs::path& path : options.votes) {
    std::int64_t num_rows = 0;
    storage::for_each_vote(path, {.max_bad_rows = options.max_bad_rows, .split = {}, .policy = {}},
                           [&](VoteTexts&& vote) {
                             ++num_rows;
                             collector.add(std::move(vote));
                           });
    manifest.input(path, num_rows);
  }
  return collector.take();
}

std::vector<ScoredVote> scored_votes(const VotedTexts& texts,
                                     const std::vector<RowScore>& results) {
  std::vector<ScoredVote> scored(texts.votes.size());
  for (std::size_t v = 0; v < scored.size(); ++v) {
    const RowScore& a = results[texts.row_a[v]];
    const RowScore& b = results[texts.row_b[v]];
    scored[v].score_a = a.score;
    scored[v].score_b = b.score;
    scored[v].style_a = storage::conversation_style(texts.votes[v].conversation_a);
    scored[v].style_b = storage::conversation_style(texts.votes[v].conversation_b);
    if (a.error) scored[v].error = "model_a: " + *a.error;
    if (b.error) scored[v].error = "model_b: " + *b.error;
  }
  return scored;
}

/// Throws kInput if too many votes have no scores.
void check_vote_errors(const std::vector<ScoredVote>& scored, const VotedTexts& texts,
                       std::int64_t max_bad_rows) {
  const auto has_error = [](const ScoredVote& vote) { return vote.error.has_value(); };
  const auto num_errors = std::ranges::count_if(scored, has_error);
  if (num_errors <= max_bad_rows) return;
  const auto first = std::ranges::find_if(scored, has_error);
  throw Error(ErrorKind::kInput,
              "{} of {} votes have no scores, first: prompt {}, {}; expected at most {} "
              "(--max-bad-rows)",
              num_errors, scored.size(),
              texts.votes[static_cast<std::size_t>(first - scored.begin())].vote.prompt_id,
              *first->error, max_bad_rows);
}

/// Writes the scored votes and their manifest. Throws kInput if too many votes have no scores.
ScoreStageResult write_votes(const ScoreStageOptions& options, const VotedTexts& texts,
                             const std::vector<RowScore>& results,
                             const storage::Provenance& provenance,
                             nlohmann::ordered_json manifest) {
  const std::vector<ScoredVote> scored = scored_votes(texts, results);
  check_vote_errors(scored, texts, options.max_bad_rows);
  ScoreStageResult summary;
  summary.files = {options.output};
  summary.num_rows = std::ssize(texts.votes);
  summary.num_errors =
      std::ranges::count_if(scored, [](const ScoredVote& vote) { return vote.error.has_value(); });
  summary.num_truncated =
      std::ranges::count_if(results, [](const RowScore& row) { return row.truncated; });
  storage::write_scored_votes(
      options.output, scored.size(),
      [&](std::size_t v) {
        return storage::ScoredVoteRow{.texts = &texts.votes[v], .scored = &scored[v]};
      },
      provenance);
  manifest["outputs"].push_back(
      {{"path", options.output.string()}, {"num_rows", summary.num_rows}});
  manifest["num_texts"] = texts.rows.size();
  storage::update_manifest(options.output, [&](const auto&) { return manifest; });
  return summary;
}

ScoreStageResult votes_complete_already(const ScoreStageOptions& options, const VotedTexts& texts) {
  log::info("{}: complete already with the same inputs and options (--fresh starts over)",
            options.output.string());
  ScoreStageResult summary;
  summary.files = {options.output};
  summary.num_rows = std::ssize(texts.votes);
  summary.skipped = true;
  return summary;
}

/// Joins the shards of the texts, if all are complete.
ScoreStageResult join_votes(const ScoreStageOptions& options, const VotedTexts& texts,
                            const RunOutput& output, const ShardRun& run) {
  const OutputLock lock(options.output, {.wait = kJoinWait});
  const JoinedShards joined = read_shards(texts.rows, {&output, 1}, run);
  ScoreStageResult summary;
  summary.unfinished = joined.unfinished();
  if (summary.unfinished.empty()) {
    warn_of_ties(texts.rows, joined.known.results);
    summary = write_votes(options, texts, joined.known.results, run.provenance(), run.manifest);
    remove_shards({&output, 1});
  } else if (was_joined_by_another(options, summary.unfinished)) {
    return votes_complete_already(options, texts);
  }
  return summary;
}

}  // namespace

ScoreStageResult merge_votes(const ScoreStageOptions& options, const ShardRun& run) {
  check_vote_options(options);
  storage::Manifest inputs("score");
  const VotedTexts texts = read_votes(options, inputs);
  nlohmann::ordered_json manifest = run.manifest;
  const nlohmann::ordered_json model = manifest["inputs"].back();
  manifest["inputs"] = inputs.to_json()["inputs"];
  manifest["inputs"].push_back(model);
  const std::string fingerprint = storage::fingerprint_of(manifest);
  require_unchanged_inputs(options, run, {&fingerprint, 1});
  return join_votes(
      options, texts,
      {.file = options.output, .rows = texts.rows.all_rows(), .fingerprint = fingerprint}, run);
}

ScoreStageResult score_votes(const ScoreStageOptions& options, const ProgressFn& progress) {
  check_vote_options(options);
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  const OutputLock lock = lock_for_scoring({options.output}, options.shard);
  const std::unique_ptr<engine::RewardModel> model =
      engine::load_reward_model(source, options.model);
  const text::ConversationEncoder encoder(source.tokenizer_folder,
                                          encoder_options(options.encoder, *model, source));
  const storage::ModelHashes hashes = storage::hash_model(source.folders());
  const storage::Provenance provenance = score_provenance(options, *model, encoder, hashes);
  storage::Manifest manifest = score_manifest(options, *model, encoder, provenance);
  const VotedTexts texts = read_votes(options, manifest);
  manifest.input_hashed(options.model_dir, hashes.folder);
  if (!options.fresh && fs::exists(options.output) && manifest.matches(options.output))
    return votes_complete_already(options, texts);

  const RunOutput output{
      .file = options.output, .rows = texts.rows.all_rows(), .fingerprint = manifest.fingerprint()};
  const std::string owner = journal_owner_of(hashes);
  std::optional<ShardRun> run;
  if (options.shard) {
    run = make_shard_run(options, {&output.fingerprint, 1}, owner, manifest.to_json());
    require_one_run({&output, 1}, *run, options.fresh);
  }
  ScorerOptions scorer = options.scorer;
  scorer.threads = options.model.threads;
  const auto score = [&](const RowStore& store, std::span<const std::size_t> rows,
                         const ScoredFn& on_scored) {
    return score_rows(*model, encoder, store, rows, scorer, on_scored, progress);
  };
  KnownResults known = unscored(texts.rows.size());
  const std::vector<std::size_t> rows = rows_of_shard(texts.rows, options.shard);
  if (run) {
    {
      storage::Journal journal(shard_path(options.output, *options.shard), output.fingerprint,
                               options.fresh, owner, shard_run_note(*run));
      RowJournals journals({{.journal = &journal, .rows = output.rows}}, texts.rows.size());
      score_pending(texts.rows, rows, score, journals, known);
    }  // closed, so that other machines read all of it
    ScoreStageResult joined = join_votes(options, texts, output, *run);
    joined.skipped = false;
    if (!joined.unfinished.empty()) joined.num_rows = std::ssize(rows);
    return joined;
  }
  if (!options.fresh) take_shard_results({&output, 1}, known);
  storage::Journal journal(options.output, output.fingerprint, options.fresh, owner);
  RowJournals journals({{.journal = &journal, .rows = output.rows}}, texts.rows.size());
  score_pending(texts.rows, rows, score, journals, known);
  warn_of_ties(encoder, texts.rows, known.results);
  ScoreStageResult summary =
      write_votes(options, texts, known.results, provenance, manifest.to_json());
  journal.remove();
  remove_shards({&output, 1});
  return summary;
}

}  // namespace charm::score
