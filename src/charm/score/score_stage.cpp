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
  std::vector<Response> rows;
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
      work.rows.push_back(std::move(row));
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

bool same_texts(const Response& a, const Response& b) {
  return a.message() == b.message() && conversation_json(a.prompt) == conversation_json(b.prompt);
}

using Key = std::tuple<std::string, std::string, std::int32_t>;

Key key_of(const Response& row) { return {row.policy, row.prompt_id, row.sample}; }

/// Copies the scores of `earlier` for rows with equal texts into `known`; returns their number.
std::int64_t reuse_scores(std::vector<ScoredResponse> earlier, KnownResults& known) {
  std::map<Key, ScoredResponse*> by_key;
  for (ScoredResponse& row : earlier) {
    if (!row.error) by_key[key_of(row.response)] = &row;
  }
  std::int64_t num_reused = 0;
  for (std::size_t r = 0; r < known.results.size(); ++r) {
    if (known.done[r]) continue;
    ScoredResponse& result = known.results[r];
    const auto found = by_key.find(key_of(result.response));
    if (found == by_key.end() || !same_texts(found->second->response, result.response)) continue;
    result.score = found->second->score;
    result.num_tokens = found->second->num_tokens;
    result.truncated = found->second->truncated;
    result.error.reset();
    known.done[r] = true;
    ++num_reused;
  }
  return num_reused;
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
  std::vector<ScoredResponse> results = unscored(rows).results;
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

void check_errors(const std::vector<ScoredResponse>& results, std::int64_t max_bad_rows) {
  const auto has_error = [](const ScoredResponse& r) { return r.error.has_value(); };
  const auto num_errors = std::count_if(results.begin(), results.end(), has_error);
  if (num_errors <= std::max<std::int64_t>(max_bad_rows, 0)) return;
  const auto bad = std::find_if(results.begin(), results.end(), has_error);
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

/// The results of the pending policies, in the order of `parts`.
std::vector<ScoredResponse> pending_results(const std::vector<PolicyPart>& parts,
                                            std::vector<ScoredResponse> results) {
  std::vector<ScoredResponse> pending;
  for (const PolicyPart& part : parts) {
    if (part.finished) continue;
    for (const std::size_t r : part.rows) pending.push_back(std::move(results[r]));
  }
  return pending;
}

PolicyEntry entry_of(const PolicyPart& part, std::span<const ScoredResponse> rows) {
  PolicyEntry entry;
  for (const ScoredResponse& row : rows) {
    entry.num_errors += row.error ? 1 : 0;
    entry.num_truncated += row.truncated ? 1 : 0;
  }
  entry.num_rows = std::ssize(rows);
  entry.fingerprint = part.fingerprint;
  return entry;
}

/// Writes the files of the pending policies and updates the folder's manifest.
void write_outputs(const ScoreStageOptions& options, const Work& work,
                   std::span<const ScoredResponse> pending, const storage::Provenance& provenance,
                   const storage::Manifest& manifest, ScoreStageResult& summary) {
  nlohmann::ordered_json json = manifest.to_json();
  for (const PolicyPart& part : work.parts) {
    PolicyEntry entry;
    if (part.finished) {
      entry = *part.finished;
    } else {
      const auto rows = pending.first(part.rows.size());
      pending = pending.subspan(part.rows.size());
      storage::write_scores(part.file, rows, provenance);
      entry = entry_of(part, rows);
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
  summary.num_rows = std::ssize(work.rows);
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

  std::vector<ScoredResponse> earlier = read_resumed(options.resume, provenance);
  KnownResults known = unscored(work.rows);
  std::deque<storage::Journal> journals;
  std::vector<JournalPart> journal_parts;
  for (const PolicyPart& part : work.parts) {
    if (part.finished) {
      for (const std::size_t r : part.rows) known.done[r] = true;
    } else if (world.is_root()) {
      journal_parts.push_back({&journals.emplace_back(part.file, part.fingerprint, options.fresh,
                                                      journal_owner_of(hashes)),
                               part.rows});
    }
  }
  summary.num_resumed = reuse_scores(std::move(earlier), known);
  RowJournals row_journals(std::move(journal_parts), work.rows.size());
  const auto score_rows = [&](std::span<const Response> batch, const ScoredFn& on_scored) {
    return score_responses(*model, encoder, batch, options.scorer, on_scored, progress);
  };
  std::vector<ScoredResponse> results = score_responses_distributed(
      work.rows, std::move(known), score_rows, world.is_root() ? &row_journals : nullptr, world);
  if (!world.is_root()) return summary;
  results = pending_results(work.parts, std::move(results));
  check_errors(results, options.max_bad_rows);
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
