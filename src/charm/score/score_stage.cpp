#include "charm/score/score_stage.h"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_manifest.h"
#include "charm/score/score_provenance.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::score {
namespace {

constexpr std::size_t kMaxNameBytes = 255;  // of a file, on usual file systems

/// A file of responses and its content's hash.
struct ResponseFile {
  fs::path path;
  std::string sha256;
  std::int64_t num_rows = 0;
};

/// One policy's part of the run: a file, a lock, a journal and an entry of the manifest of its own,
/// so that runs of different policies may share a folder.
struct PolicyPart {
  fs::path file;
  std::size_t source;             ///< response file that holds its rows
  std::vector<std::size_t> rows;  ///< of the run, in order
  std::string fingerprint;        ///< of the options and of the inputs behind these rows
  std::optional<storage::Manifest> manifest;  ///< with the same options and inputs
  std::optional<PolicyEntry> finished;  ///< rank 0: left by an earlier run of this fingerprint
};

struct Work {
  RowStore rows;
  std::vector<ResponseFile> sources;
  std::vector<PolicyPart> parts;  ///< in order of first appearance
};

Work read_all(const ScoreStageOptions& options) {
  Work work;
  std::map<std::string, std::size_t> place;
  std::vector<std::pair<fs::path, std::set<std::string>>> policies_of_files;
  storage::ReadOptions read_options;
  read_options.max_bad_rows = options.max_bad_rows;
  for (const fs::path& file : options.responses) {
    std::vector<Response> read = storage::read_responses(file, read_options);
    std::set<std::string> policies;
    work.rows.reserve(read.size());
    for (Response& row : read) {
      policies.insert(row.policy);
      const auto [entry, is_new] = place.try_emplace(row.policy, work.parts.size());
      if (is_new) {
        work.parts.push_back({.file = score_file(options.output, row.policy),
                              .source = work.sources.size(),
                              .rows = {},
                              .fingerprint = {},
                              .manifest = {},
                              .finished = {}});
      }
      work.parts[entry->second].rows.push_back(work.rows.size());
      work.rows.add(std::move(row));
    }
    policies_of_files.emplace_back(file, std::move(policies));
    work.sources.push_back({.path = file,
                            .sha256 = storage::sha256_of_path(file),
                            .num_rows = static_cast<std::int64_t>(read.size())});
  }
  storage::check_distinct_policies(policies_of_files);
  return work;
}

/// Without inputs.
storage::Manifest make_manifest(const ScoreStageOptions& options, const model::RewardModel& model,
                                const text::ConversationEncoder& encoder,
                                const storage::Provenance& provenance) {
  storage::Manifest manifest("score");
  manifest.options(options, describe_command)
      .option("adapter", nullptr)  // unless it is among the model's facts
      .option("max-tokens", encoder.options().max_tokens)
      .option("template-sha256", encoder.chat_template().sha256());
  for (const auto& [name, value] : model.provenance()) manifest.option(name, value);
  manifest.extra("provenance", nlohmann::ordered_json::parse(storage::provenance_json(provenance)));
  return manifest;
}

using Key = std::tuple<std::string, std::string, std::int32_t>;

Key key_of(const Response& row) { return {row.policy, row.prompt_id, row.sample}; }

/// Copies the scores of the files of `resume` for rows with equal texts into `known`; returns their
/// number.
std::int64_t reuse_scores(const ScoreStageOptions& options, const storage::Provenance& provenance,
                          const RowStore& store, KnownResults& known) {
  if (options.resume.empty()) return 0;
  std::map<Key, std::size_t> row_of_key;
  for (std::size_t r = 0; r < store.size(); ++r) {
    if (!known.done[r]) row_of_key.emplace(key_of(store[r]), r);
  }
  std::int64_t num_reused = 0;
  for_each_resumed(options.resume, provenance, [&](ScoredResponse&& earlier) {
    const auto found = row_of_key.find(key_of(earlier.response));
    if (earlier.error || found == row_of_key.end()) return;
    const std::size_t r = found->second;
    const bool same = earlier.response.message() == store[r].message() &&
                      earlier.response.prompt == store.prompt(r);
    num_reused += static_cast<int>(same) - static_cast<int>(known.done[r]);
    known.done[r] = same;  // of several rows with this key the last counts
    if (!same) return;
    known.results[r] = {.score = earlier.score,
                        .num_tokens = earlier.num_tokens,
                        .truncated = earlier.truncated,
                        .error = {}};
  });
  return num_reused;
}

/// The scores of finished files, in the order of the rows.
std::vector<Score> read_finished(const RowStore& store, const std::vector<fs::path>& files) {
  std::map<Key, Score> by_key;
  for (const fs::path& file : files) {
    for (Score& score : storage::read_scores(file, {})) {
      Key key{score.policy, score.prompt_id, score.sample};
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

/// Finds the policies that earlier runs with the same options and inputs completed.
void find_finished(const fs::path& output, std::vector<PolicyPart>& parts) {
  const nlohmann::ordered_json manifest = storage::read_manifest(output);
  for (PolicyPart& part : parts) {
    std::optional<PolicyEntry> entry = find_policy(manifest, part.file);
    if (!entry || !fs::exists(part.file)) continue;
    // Another fingerprint may be due to an option that is newer than the manifest.
    if (entry->fingerprint == part.fingerprint ||
        part.manifest->matches_recorded(manifest_of_policy(manifest, part.file)))
      part.finished = std::move(entry);
  }
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
  if (world.is_root()) require_writable(options.output / "manifest.json");
  Work work = read_all(options);
  ScoreStageResult summary;
  summary.num_rows = static_cast<std::int64_t>(work.rows.size());
  for (const PolicyPart& part : work.parts) summary.files.push_back(part.file);
  check_files(options, summary.files);
  std::optional<OutputLock> lock;
  if (world.is_root()) lock.emplace(summary.files);
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
  for (PolicyPart& part : work.parts) {
    const ResponseFile& source = work.sources[part.source];
    part.manifest.emplace(make_manifest(options, *model, encoder, provenance))
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
    world.end();
    if (world.is_root())
      summary.check = check_finished(options, provenance, work.rows, summary.files);
    return summary;
  }
  if (num_finished > 0) {
    log::info("{}: {} of {} policies complete already with the same inputs and options",
              options.output.string(), num_finished, work.parts.size());
  }

  KnownResults known = unscored(work.rows.size());
  for (const PolicyPart& part : work.parts) {
    if (!part.finished) continue;
    for (const std::size_t r : part.rows) known.done[r] = true;
  }
  // Before the journals: what --resume refuses leaves none behind.
  summary.num_resumed = reuse_scores(options, provenance, work.rows, known);
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
  lock->require_held();
  storage::Manifest manifest = make_manifest(options, *model, encoder, provenance);
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
