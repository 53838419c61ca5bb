#include "charm/report/flat_run.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.') && !name.ends_with("manifest.json")) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// The scores files of a folder: Parquet files that name their reward model.
std::vector<fs::path> scores_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::path& path : sorted_entries(folder)) {
    if (path.extension() != ".parquet") continue;
    const auto provenance = storage::read_provenance(path);
    if (provenance && storage::find_fact(*provenance, "pooling") != nullptr) files.push_back(path);
  }
  return files;
}

/// The folder's name of the reward model that scored a folder; `otherwise` if none is recorded.
std::string model_of_scores(const fs::path& folder, const std::string& otherwise) {
  const ordered_json manifest = storage::read_manifest(folder);
  if (!manifest.is_object() || !manifest.contains("outputs") || manifest["outputs"].empty())
    return otherwise;
  const ordered_json& entry = manifest["outputs"][0];
  // The responses, then the model: score_stage.cpp.
  if (!entry.contains("inputs") || entry["inputs"].size() < 2 || !entry["inputs"][1].is_string())
    return otherwise;
  const fs::path model = entry["inputs"][1].get<std::string>();
  return (model.has_filename() ? model : model.parent_path()).filename().string();
}

/// Reward models by the names of the folders with their scores.
struct Models {
  std::map<std::string, std::string> of_folder;
  std::string base;  ///< of results that do not say which scores they are of

  /// By the first scores file among the inputs of a result.
  const std::string& of_result(const ordered_json& json) const {
    const std::vector<results::InputFile> inputs = results::read_inputs(json);
    if (inputs.empty()) return base;
    const auto found = of_folder.find(inputs.front().path.parent_path().filename().string());
    return found != of_folder.end() ? found->second : base;
  }
};

/// Adds a result file of any kind; other JSON files are left alone.
void add_result(const fs::path& path, const Models& models, RunData& run) {
  const ordered_json json =
      ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  const std::string file = path.string(), name = path.stem().string();
  const std::string& model = models.of_result(json);
  if (json.contains("benchmark") && json.contains("a") && json.contains("b")) {
    run.comparisons.push_back({model, name, results::read_comparison(json, file)});
  } else if (json.contains("benchmark")) {
    run.evaluations.push_back(
        {json.value("model", model), name, results::read_evaluation(json, file)});
    for (const auto& [policy, rating] : run.evaluations.back().result.ratings())
      run.ratings[policy] = rating;
  } else if (json.contains("policies") && json.contains("pairs") && !json.contains("reference")) {
    run.mismatches.push_back({results::read_mismatch(json, file), model});
    for (const auto& policy : run.mismatches.back().policies)
      run.ratings[policy.policy] = policy.rating.rating_elo;
  } else if (json.contains("policies") && json.contains("pairs")) {
    run.calibrations.push_back({results::read_calibration(json, file), model, name, ""});
    for (const auto& policy : run.calibrations.back().policies)
      run.ratings[policy.policy] = policy.rating.rating_elo;
  } else if (json.contains("methods") && json.contains("pairs")) {
    run.explanations.push_back({results::read_explanation(json, file), model, name});
  }
}

}  // namespace

void read_flat_run(const fs::path& folder, RunData& run) {
  Models models;
  for (const fs::path& path : sorted_entries(folder)) {
    if (!fs::is_directory(path)) continue;
    if (fs::exists(path / "metrics.jsonl")) {
      run.trainings.push_back(read_training(path / "metrics.jsonl"));
      continue;
    }
    const std::vector<fs::path> files = scores_in(path);
    if (files.empty()) continue;
    const std::string scored_by = model_of_scores(path, path.filename().string());
    models.of_folder[path.filename().string()] = scored_by;
    if (models.base.empty()) models.base = scored_by;
    run.scores.push_back(summarise_scores(scored_by, files));
  }
  if (models.base.empty()) models.base = run.name;
  for (const fs::path& path : sorted_entries(folder)) {
    if (path.extension() == ".json" && !fs::is_directory(path)) add_result(path, models, run);
  }
}

}  // namespace charm::report
