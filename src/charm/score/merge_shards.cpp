#include "charm/score/merge_shards.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/score/score_output.h"
#include "charm/score/tied_scores.h"
#include "charm/storage/manifest.h"

namespace charm::score {
namespace {

using nlohmann::ordered_json;

/// The manifest of a policy's part of the run, as its fingerprint needs it.
ordered_json manifest_of_part(const ordered_json& run, const ResponseFile& source,
                              const std::string& model) {
  ordered_json manifest = run;
  manifest["inputs"] = ordered_json::array({{{"sha256", source.sha256}}});
  for (const ordered_json& input : run.at("inputs")) {
    if (input.at("path") == model) manifest["inputs"].push_back(input);
  }
  return manifest;
}

/// Throws kInput where the responses are not those that the shards scored.
Work read_work_of_shards(const ScoreStageOptions& options, const ShardRun& run) {
  Work work = read_work(options);
  std::vector<std::string> fingerprints;
  for (PolicyPart& part : work.parts) {
    part.fingerprint = storage::fingerprint_of(
        manifest_of_part(run.manifest, work.sources[part.source], options.model_dir.string()));
    fingerprints.push_back(part.fingerprint);
  }
  require_unchanged_inputs(options, run, fingerprints);
  return work;
}

/// The only run whose shards are there, of those that fit the inputs given; empty where there are
/// no shards at all.
std::optional<ShardRun> only_run(const ScoreStageOptions& options) {
  std::vector<ShardRun> runs = find_runs(options.output);
  if (runs.empty()) return std::nullopt;
  std::erase_if(runs, [&](const ShardRun& run) { return !has_inputs(run, options); });
  if (runs.size() == 1) return std::move(runs.front());
  throw Error(ErrorKind::kInput,
              "{}: has shards of {} with these inputs; give --merge the --responses (or --votes) "
              "of the run to join",
              options.output.string(),
              runs.empty() ? "no run" : fmt::format("{} runs", runs.size()));
}

/// There are no shards: they were joined, or never scored.
ScoreStageResult joined_before(const ScoreStageOptions& options) {
  const ordered_json manifest = storage::read_manifest(options.output);
  ScoreStageResult summary;
  summary.skipped = true;
  if (manifest.is_object()) {
    for (const ordered_json& output : manifest.value("outputs", ordered_json::array())) {
      const fs::path path = output.value("path", std::string());
      const fs::path file =
          fs::is_directory(options.output) ? options.output / path.filename() : options.output;
      if (!fs::exists(file)) continue;
      summary.files.push_back(file);
      summary.num_rows += output.value("num_rows", std::int64_t{0});
    }
    summary.num_errors = manifest.value("num_errors", std::int64_t{0});
    summary.num_truncated = manifest.value("num_truncated", std::int64_t{0});
  }
  const auto is_recorded = [&](const fs::path& input) {
    const std::string sha256 = storage::sha256_of_path(input);
    return std::ranges::any_of(manifest.at("inputs"), [&](const ordered_json& recorded) {
      return recorded.value("sha256", std::string()) == sha256;
    });
  };
  const std::vector<fs::path>& given = options.votes.empty() ? options.responses : options.votes;
  if (!summary.files.empty() && std::ranges::all_of(given, is_recorded)) return summary;
  throw Error(ErrorKind::kInput,
              "{}: has no shards to join; score them first, with --shard 0/N to --shard N-1/N",
              options.output.string());
}

}  // namespace

void require_unchanged_inputs(const ScoreStageOptions& options, const ShardRun& run,
                              std::span<const std::string> fingerprints) {
  if (run_id(run.num_shards, fingerprints) == run.id) return;
  throw Error(ErrorKind::kInput,
              "{}: its inputs have changed since its shards were scored; restore the files, or "
              "score again with --fresh",
              options.output.string());
}

// Without --fresh the finished outputs tell the same, and first.
bool was_joined_by_another(const ScoreStageOptions& options,
                           std::span<const ShardProgress> unfinished) {
  return std::ranges::any_of(
      unfinished, [&](const ShardProgress& shard) { return shard.shard == options.shard; });
}

std::vector<RunOutput> pending_outputs(const Work& work) {
  std::vector<RunOutput> outputs;
  for (const PolicyPart& part : work.parts) {
    if (!part.finished)
      outputs.push_back({.file = part.file, .rows = part.rows, .fingerprint = part.fingerprint});
  }
  return outputs;
}

ScoreStageResult join_shards(const ScoreStageOptions& options, Work& work, const ShardRun& run) {
  ScoreStageResult summary;
  summary.num_rows = static_cast<std::int64_t>(work.rows.size());
  for (const PolicyPart& part : work.parts) summary.files.push_back(part.file);
  // Whoever takes the lock last sees all journals complete.
  const OutputLock lock(summary.files, {.wait = kJoinWait});
  if (!options.fresh) find_finished(options.output, work.parts);
  const std::vector<RunOutput> outputs = pending_outputs(work);
  if (outputs.empty()) return complete_already(options, work, run.provenance());
  const JoinedShards joined = read_shards(work.rows, outputs, run);
  summary.unfinished = joined.unfinished();
  if (was_joined_by_another(options, summary.unfinished)) {
    find_finished(options.output, work.parts);
    return complete_already(options, work, run.provenance());
  }
  if (!summary.unfinished.empty()) return summary;
  std::vector<std::size_t> rows;
  for (const RunOutput& output : outputs)
    rows.insert(rows.end(), output.rows.begin(), output.rows.end());
  check_errors(work.rows, rows, joined.known.results, options.max_bad_rows);
  warn_of_ties(work.rows, joined.known.results);
  log::info("{}: joining {} shards", options.output.string(), run.num_shards);
  write_outputs(options, work, joined.known.results, run.provenance(), run.manifest, summary);
  remove_shards(outputs);
  return summary;
}

ScoreStageResult merge_stage(const ScoreStageOptions& options) {
  const std::optional<ShardRun> run = only_run(options);
  if (!run) return joined_before(options);
  const ScoreStageOptions recorded = options_of_shards(options, *run);
  ScoreStageResult summary;
  if (!recorded.votes.empty()) {
    summary = merge_votes(recorded, *run);
  } else {
    Work work = read_work_of_shards(recorded, *run);
    summary = join_shards(recorded, work, *run);
  }
  if (!summary.unfinished.empty()) throw_missing(options.output, summary.unfinished, *run);
  return summary;
}

}  // namespace charm::score
