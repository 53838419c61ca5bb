#include "charm/report/run_data.h"

#include <algorithm>
#include <cmath>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/report/report_stage.h"
#include "charm/results/fields.h"
#include "charm/results/result_file.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

using Paths = std::set<fs::path>;

fs::path normal(const fs::path& path) { return fs::absolute(path).lexically_normal(); }

/// Result files and folders in a folder, sorted by name; none when the folder is missing.
/// Unfinished files, manifests and what an earlier recipe left are skipped.
std::vector<fs::path> results_in(const fs::path& folder, const Paths& earlier) {
  std::vector<fs::path> paths;
  if (!fs::is_directory(folder)) return paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || name.ends_with(".partial") || name.ends_with(".journal") ||
        name.ends_with(".lock") || name.ends_with("manifest.json") ||
        earlier.contains(normal(entry.path()))) {
      continue;
    }
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<fs::path> json_files_in(const fs::path& folder, const Paths& earlier) {
  std::vector<fs::path> paths = results_in(folder, earlier);
  std::erase_if(paths, [](const fs::path& path) {
    return path.extension() != ".json" || fs::is_directory(path);
  });
  return paths;
}

std::vector<fs::path> folders_in(const fs::path& folder, const Paths& earlier) {
  std::vector<fs::path> paths = results_in(folder, earlier);
  std::erase_if(paths, [](const fs::path& path) { return !fs::is_directory(path); });
  return paths;
}

template <typename Policy>
void add_ratings(const std::vector<Policy>& policies, std::map<std::string, double>& ratings) {
  for (const Policy& policy : policies) {
    if (std::isfinite(policy.rating.rating_elo)) ratings[policy.policy] = policy.rating.rating_elo;
  }
}

Paths read_earlier(const fs::path& run_dir) {
  Paths paths;
  const fs::path file = run_dir / kEarlierResults;
  if (!fs::exists(file)) return paths;
  const ordered_json json = results::read_json(file, "charm run");
  for (const ordered_json& output : json.value("outputs", ordered_json::array()))
    paths.insert(normal(run_dir / output.get<std::string>()));
  return paths;
}

/// Whether a manifest is that of an output, or in a folder, that an earlier recipe left.
bool is_of_earlier(const fs::path& manifest, const Paths& earlier) {
  constexpr std::string_view kEnding = ".manifest.json";
  std::string path = normal(manifest).string();
  if (path.ends_with(kEnding)) path.resize(path.size() - kEnding.size());
  for (fs::path part = path; part.has_relative_path(); part = part.parent_path()) {
    if (earlier.contains(part)) return true;
  }
  return false;
}

void read_manifests(const fs::path& run_dir, const Paths& earlier,
                    std::vector<ManifestFile>& manifests) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run_dir)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".manifest.json") || name == "manifest.json") {
      if (!is_of_earlier(entry.path(), earlier)) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths)
    manifests.push_back(
        {path.lexically_relative(run_dir).string(), results::read_json(path, "charm")});
}

}  // namespace

std::vector<results::InputFile> recorded_inputs(const ordered_json& json) {
  if (!json.is_object()) return {};  // no manifest
  std::vector<results::InputFile> files = results::read_inputs(json);
  std::erase_if(files, [](const results::InputFile& file) { return file.path.empty(); });
  return files;
}

std::vector<fs::path> score_files_of(const RunData& run, const std::string& model) {
  const fs::path held_out = run.folder / "splits" / "held-out" / model;
  std::vector<fs::path> files =
      results_in(fs::exists(held_out) ? held_out : run.folder / "scores" / model, run.earlier);
  std::erase_if(files, [](const fs::path& path) {
    const std::string name = path.filename().string();
    return !name.ends_with(".parquet") && !name.ends_with(".jsonl") && !name.ends_with(".jsonl.gz");
  });
  return files;
}

TrainingRun read_training(const fs::path& path) {
  TrainingRun run;
  run.set = path.parent_path().filename().string();
  run.model = path.parent_path().parent_path().filename().string();
  const std::string content = read_file(path);
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < content.size();) {
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view line = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    const ordered_json json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      throw Error(ErrorKind::kInput, "{}:{}: expected a JSON object", path.string(), line_number);
    MetricPoint point;
    for (const auto& [key, value] : json.items()) {
      if (key == "step" && value.is_number()) {
        point.step = value.get<double>();
      } else if (value.is_number()) {
        const bool is_eval = key.starts_with("eval_");
        point.is_held_out |= is_eval;
        point.values[is_eval ? key.substr(5) : key] = value.get<double>();
      } else if (value.is_string()) {
        const auto word = value.get<std::string>();
        point.is_held_out |=
            word == "eval" || word == "evaluation" || word == "held-out" || word == "held_out";
      }
    }
    if (!point.values.empty()) run.points.push_back(std::move(point));
  }
  return run;
}

void RunData::take_ratings(const MismatchFile& file) {
  if (!file.votes) add_ratings(file.policies, ratings);
}

void RunData::take_ratings(const CalibrationFile& file) {
  if (!file.votes || file.votes->has_rating_prior) add_ratings(file.policies, ratings);
}

std::string RunData::same_offsets_as(const std::string& model, const std::string& set) const {
  for (const CalibrationFile& file : calibrations) {
    if (file.model == model && file.set == set) return file.same_as;
  }
  return "";
}

const MismatchFile* RunData::mismatch_of(const std::string& model) const {
  const auto it = std::find_if(mismatches.begin(), mismatches.end(),
                               [&](const auto& file) { return file.model == model; });
  return it == mismatches.end() ? nullptr : &*it;
}

const MismatchFile* RunData::mismatch_of(const std::string& model,
                                         const CalibrationFile& calibration) const {
  const auto it = std::find_if(mismatches.begin(), mismatches.end(), [&](const auto& file) {
    return (file.model == model || file.model == model + ".votes") &&
           file.votes.has_value() == calibration.votes.has_value();
  });
  return it == mismatches.end() ? nullptr : &*it;
}

std::string RunData::cases_of(const MismatchFile& file) const {
  const std::string key = mismatch_cases(file.model);
  std::size_t number = 1;
  for (const MismatchFile& one : mismatches) {
    if (&one == &file) break;
    number += one.model == file.model ? 1 : 0;
  }
  return number == 1 ? key : fmt::format("{}/{}", key, number);
}

const ModelScores* RunData::scores_of(const std::string& model) const {
  const auto it = std::find_if(scores.begin(), scores.end(),
                               [&](const auto& entry) { return entry.model == model; });
  return it == scores.end() ? nullptr : &*it;
}

bool RunData::empty() const {
  return mismatches.empty() && calibrations.empty() && scores.empty() && trainings.empty() &&
         evaluations.empty() && comparisons.empty() && explanations.empty();
}

RunData read_run(const fs::path& run_dir) {
  if (!fs::is_directory(run_dir)) {
    throw Error(
        ErrorKind::kIo,
        "{}: no such folder; --run expects the run directory of a finished or running `charm run`",
        run_dir.string());
  }
  RunData run;
  run.folder = normal(run_dir);
  run.name =
      (run.folder.has_filename() ? run.folder : run.folder.parent_path()).filename().string();
  run.earlier = read_earlier(run_dir);
  for (const fs::path& path : json_files_in(run_dir / "mismatch", run.earlier)) {
    const ordered_json json = results::read_json(path, "charm measure");
    run.mismatches.push_back(
        {results::read_mismatch(json, path.string()), path.stem().string(), recorded_inputs(json)});
    run.take_ratings(run.mismatches.back());
  }
  for (const fs::path& folder : folders_in(run_dir / "calibration", run.earlier)) {
    std::map<std::string, std::string> set_of_result;
    for (const fs::path& path : json_files_in(folder, run.earlier)) {
      const ordered_json json = results::read_json(path, "charm");
      CalibrationFile file{results::read_calibration(json, path.string()),
                           folder.filename().string(),
                           path.stem().string(),
                           /*same_as=*/"",
                           /*trained=*/"",
                           recorded_inputs(json)};
      run.take_ratings(file);
      const auto [earlier, is_new] = set_of_result.emplace(json.dump(), file.set);
      if (!is_new) file.same_as = earlier->second;
      run.calibrations.push_back(std::move(file));
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "scores", run.earlier)) {
    // With held-out prompts, before and after are shown on those only.
    const std::string model = folder.filename().string();
    const std::vector<fs::path> files = score_files_of(run, model);
    if (!files.empty()) run.scores.push_back(summarise_scores(model, files));
  }
  for (const fs::path& model : folders_in(run_dir / "models", run.earlier)) {
    for (const fs::path& set : folders_in(model, run.earlier)) {
      if (fs::exists(set / "metrics.jsonl"))
        run.trainings.push_back(read_training(set / "metrics.jsonl"));
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "eval", run.earlier)) {
    for (const fs::path& path : json_files_in(folder, run.earlier)) {
      run.evaluations.push_back(
          {folder.filename().string(), path.stem().string(), results::read_evaluation(path), path});
      for (const auto& [policy, rating] : run.evaluations.back().result.ratings())
        run.ratings[policy] = rating;
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "comparison", run.earlier)) {
    for (const fs::path& path : json_files_in(folder, run.earlier))
      run.comparisons.push_back(
          {folder.filename().string(), path.stem().string(), results::read_comparison(path)});
  }
  for (const fs::path& folder : folders_in(run_dir / "explanation", run.earlier)) {
    for (const fs::path& path : json_files_in(folder, run.earlier))
      run.explanations.push_back(
          {results::read_explanation(path), folder.filename().string(), path.stem().string()});
  }
  for (const fs::path& path : json_files_in(run_dir / "splits", run.earlier))
    run.split_models.insert(path.stem().string());
  read_flat_run(run_dir, run);
  if (fs::exists(run_dir / results::kWorldFile))
    run.world = results::read_world(run_dir / results::kWorldFile);
  read_manifests(run_dir, run.earlier, run.manifests);
  return run;
}

}  // namespace charm::report
