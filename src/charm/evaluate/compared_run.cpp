#include <algorithm>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/results/evaluation.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/row_reader.h"

namespace charm::evaluate {
namespace {

using nlohmann::json;

/// The result of an earlier evaluation, if the file is one. Throws kInput for other JSON objects,
/// saying what they are: rows of scores would be a list or lines.
std::optional<results::Evaluation> result_of(const fs::path& path) {
  if (path.extension() != ".json" || fs::is_directory(path)) return {};
  const auto content =
      nlohmann::ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!content.is_object()) return {};
  const std::optional<results::ResultKind> kind = results::result_kind(content);
  if (kind == results::ResultKind::kEvaluation)
    return results::read_evaluation(content, path.string());
  throw Error(
      ErrorKind::kInput,
      "{}: is {}; expected a result of charm evaluate, its saved scores, or a folder of "
      "charm score",
      path.string(),
      kind ? results::result_kind_text(*kind) : "a JSON object of no kind that charm writes");
}

/// Resolves a path recorded by an earlier run whose folder may have been moved.
std::optional<fs::path> find_moved(const fs::path& written, const fs::path& result) {
  for (const fs::path& candidate : {written, result.parent_path() / written.filename()}) {
    if (fs::exists(candidate)) return candidate;
  }
  return {};
}

/// The paths in a member of a manifest.
std::vector<fs::path> recorded_paths(const json& manifest, const char* member) {
  std::vector<fs::path> paths;
  if (!manifest.is_object() || !manifest.contains(member) || !manifest[member].is_array())
    return paths;
  for (const json& file : manifest[member]) {
    if (file.is_string()) paths.emplace_back(file.get<std::string>());
  }
  return paths;
}

std::vector<fs::path> scores_of_result(const fs::path& path, Benchmark benchmark) {
  const json manifest = storage::read_manifest(path);
  if (benchmark == Benchmark::kBestOfN && !manifest.contains("scores_after")) {
    throw Error(
        ErrorKind::kInput,
        "{}: its manifest does not say whose scores were audited; evaluate it again, or give "
        "the folder of scores with --benchmark best-of-n",
        path.string());
  }
  std::vector<fs::path> written = recorded_paths(manifest, "scores_after");
  if (written.empty()) written = recorded_paths(manifest, "scores");
  if (written.empty()) written.push_back(fs::path(path).replace_extension(".scores.parquet"));
  std::vector<fs::path> found;
  for (const fs::path& file : written) {
    const std::optional<fs::path> place = find_moved(file, path);
    if (!place) {
      throw Error(ErrorKind::kInput,
                  "{}: its scores file {} is missing; give the scores file instead of the result",
                  path.string(), file.string());
    }
    found.push_back(*place);
  }
  return found;
}

/// Whether a benchmark is computed from policies' scores of responses.
bool is_of_policies(Benchmark benchmark) {
  return benchmark == Benchmark::kArena || benchmark == Benchmark::kBestOfN;
}

bool is_scores_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".parquet") || name.ends_with(".jsonl") || name.ends_with(".jsonl.gz");
}

/// The benchmark of a file of saved scores, inferred from the columns of its first row.
Benchmark benchmark_of_rows(const fs::path& path) {
  storage::RowReader reader(
      path, {}, {"score_chosen", "domain", "subset", "score", "error", "winner", "score_a"});
  const storage::RowView* row = reader.next();
  if (row == nullptr) throw Error(ErrorKind::kInput, "{}: contains no rows", path.string());
  if (const storage::Value scores = (*row)["score_chosen"]; !scores.is_null()) {
    if (scores.kind() != storage::ValueKind::kList) return Benchmark::kRewardBench;
    return row->has("domain") || !row->has("subset") ? Benchmark::kRmBench
                                                     : Benchmark::kRewardBench2;
  }
  if (row->has("winner") && row->has("score_a")) return Benchmark::kVotes;
  if (row->has("score") || row->has("error")) return Benchmark::kArena;
  throw Error(ErrorKind::kInput,
              "{}: has neither 'score_chosen' (saved scores of charm evaluate) nor 'score' (of "
              "charm score) nor 'winner' and 'score_a' (of charm score --votes)",
              reader.location());
}

}  // namespace

ComparedRun find_run(const fs::path& path, std::optional<Benchmark> benchmark) {
  if (!fs::exists(path)) throw Error(ErrorKind::kIo, "{}: no such file or folder", path.string());
  ComparedRun run{.name = path.stem().string(), .scores = {path}, .ratings = {}};
  if (const std::optional<results::Evaluation> result = result_of(path)) {
    run.benchmark = parse_benchmark(result->benchmark);
    if (!result->model.empty()) run.name = result->model;
    run.scores = scores_of_result(path, run.benchmark);
    run.ratings = result->ratings();
    run.holdout = result->holdout.value_or(0.0);
    run.seed = result->bootstrap.seed;
  } else if (fs::is_directory(path) && is_of_policies(benchmark.value_or(Benchmark::kArena))) {
    run.benchmark = benchmark.value_or(Benchmark::kArena);
    run.name = fs::absolute(path).lexically_normal().parent_path().filename().string();
    if (path.has_filename()) run.name = path.filename().string();
    run.scores.clear();
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (is_scores_file(entry.path())) run.scores.push_back(entry.path());
    }
    std::sort(run.scores.begin(), run.scores.end());
    if (run.scores.empty()) {
      throw Error(ErrorKind::kInput, "{}: contains no .parquet or .jsonl score files",
                  path.string());
    }
    const Benchmark found = benchmark_of_rows(run.scores.front());
    if (found != Benchmark::kArena) {
      throw Error(ErrorKind::kInput,
                  "{}: a folder must contain scores of policies, but {} contains rows of {}; give "
                  "that file itself",
                  path.string(), run.scores.front().filename().string(), benchmark_name(found));
    }
  } else {
    run.benchmark = benchmark ? *benchmark : benchmark_of_rows(path);
  }
  if (benchmark && *benchmark != run.benchmark) {
    throw Error(ErrorKind::kInput, "{}: is a run of {}, not of {}", path.string(),
                benchmark_name(run.benchmark), benchmark_name(*benchmark));
  }
  return run;
}

}  // namespace charm::evaluate
