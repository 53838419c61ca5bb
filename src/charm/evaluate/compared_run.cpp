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

std::vector<fs::path> scores_of_result(const fs::path& path) {
  std::vector<fs::path> written;
  const json facts = storage::read_manifest(path);
  if (facts.is_object() && facts.contains("scores") && facts["scores"].is_array()) {
    for (const json& file : facts["scores"]) {
      if (file.is_string()) written.emplace_back(file.get<std::string>());
    }
  }
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

bool is_scores_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".parquet") || name.ends_with(".jsonl") || name.ends_with(".jsonl.gz");
}

/// The benchmark of a file of saved scores, inferred from the columns of its first row.
Benchmark benchmark_of_rows(const fs::path& path) {
  storage::RowReader reader(path, {}, {"score_chosen", "domain", "subset", "score", "error"});
  const storage::RowView* row = reader.next();
  if (row == nullptr) throw Error(ErrorKind::kInput, "{}: contains no rows", path.string());
  if (const storage::Value scores = (*row)["score_chosen"]; !scores.is_null()) {
    if (scores.kind() != storage::ValueKind::kList) return Benchmark::kRewardBench;
    return row->has("domain") || !row->has("subset") ? Benchmark::kRmBench
                                                     : Benchmark::kRewardBench2;
  }
  if (row->has("score") || row->has("error")) return Benchmark::kArena;
  throw Error(ErrorKind::kInput,
              "{}: has neither 'score_chosen' (saved scores of charm evaluate) nor 'score' (of "
              "charm score)",
              reader.location());
}

}  // namespace

ComparedRun find_run(const fs::path& path, std::optional<Benchmark> benchmark) {
  if (!fs::exists(path)) throw Error(ErrorKind::kIo, "{}: no such file or folder", path.string());
  ComparedRun run{.name = path.stem().string(), .scores = {path}, .ratings = {}};
  if (const std::optional<results::Evaluation> result = result_of(path)) {
    run.benchmark = parse_benchmark(result->benchmark);
    if (!result->model.empty()) run.name = result->model;
    run.scores = scores_of_result(path);
    run.ratings = result->ratings();
  } else if (fs::is_directory(path) && benchmark.value_or(Benchmark::kArena) == Benchmark::kArena) {
    run.benchmark = Benchmark::kArena;
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
