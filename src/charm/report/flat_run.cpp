#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/report/case_collector.h"
#include "charm/report/run_data.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    const std::string name = next->path().filename().string();
    if (!name.starts_with('.') && !name.ends_with("manifest.json")) paths.push_back(next->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Subfolders whose files a run directory's layout does not name.
std::vector<fs::path> flat_folders(const fs::path& folder) {
  static const std::set<std::string> kOfRuns = {"mismatch", "splits", "steps"};
  std::vector<fs::path> folders = sorted_entries(folder);
  std::erase_if(folders, [](const fs::path& path) {
    std::error_code error;
    return !fs::is_directory(path, error) || kOfRuns.contains(path.filename().string());
  });
  return folders;
}

/// The scores files of a folder: Parquet files that name their reward model, except those of
/// benchmarks and votes.
std::vector<fs::path> scores_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::path& path : sorted_entries(folder)) {
    if (path.extension() != ".parquet" || path.stem().extension() == ".scores") continue;
    const auto provenance = storage::read_provenance(path);
    if (provenance && storage::find_fact(*provenance, "pooling") != nullptr) files.push_back(path);
  }
  return only_scores(std::move(files));
}

std::string folder_name(const fs::path& folder) {
  return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
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
  return folder_name(entry["inputs"][1].get<std::string>());
}

/// Without the ending of a result or of its saved scores.
std::string result_name(const fs::path& path) {
  const fs::path stem = path.stem();
  return stem.extension() == ".scores" ? stem.stem().string() : stem.string();
}

/// How many names the ends of two paths have in common, the name of the result first: a run that
/// was moved keeps them.
std::size_t num_common_names(const fs::path& result, const fs::path& other) {
  if (result_name(result) != result_name(other)) return 0;
  std::size_t count = 1;
  fs::path a = result.lexically_normal().parent_path(), b = other.lexically_normal().parent_path();
  while (a.has_filename() && b.has_filename() && a.filename() == b.filename()) {
    ++count;
    a = a.parent_path();
    b = b.parent_path();
  }
  return count;
}

class FlatRunReader {
 public:
  FlatRunReader(const fs::path& folder, RunData& run) : folder_(folder), run_(run) {}

  void read() {
    const std::size_t num_comparisons = run_.comparisons.size();
    const std::size_t num_evaluations = run_.evaluations.size();
    const std::vector<fs::path> folders = flat_folders(folder_);
    for (const fs::path& path : folders) {
      if (fs::exists(path / "metrics.jsonl")) {
        trained_.push_back(path);
      } else {
        read_scores(path);
      }
    }
    if (base_.empty()) base_ = run_.name;
    read_results(folder_);
    for (const fs::path& path : folders) {
      if (!fs::exists(path / "config.json")) read_results(path);  // a model has no results
    }
    for (const fs::path& path : trained_) add_training(path);
    name_evaluations(num_evaluations);
    name_comparisons(num_comparisons);
    put_held_out_first();
  }

 private:
  void read_scores(const fs::path& path) {
    const std::vector<fs::path> files = scores_in(path);
    if (files.empty()) return;
    const std::string scored_by = model_of_scores(path, path.filename().string());
    model_of_folder_[path.filename().string()] = scored_by;
    if (base_.empty()) base_ = scored_by;
    run_.scores.push_back(summarise_scores(scored_by, files));
  }

  void read_results(const fs::path& folder) {
    for (const fs::path& path : sorted_entries(folder)) {
      std::error_code error;
      if (path.extension() == ".json" && !fs::is_directory(path, error)) add_result(path);
    }
  }

  /// Of a result's first scores file; the base model's if it does not say which scores it is of.
  std::string model_of_result(const ordered_json& json) const {
    const std::vector<results::InputFile> inputs = recorded_inputs(json);
    if (inputs.empty()) return base_;
    const auto found = model_of_folder_.find(inputs.front().path.parent_path().filename().string());
    return found != model_of_folder_.end() ? found->second : base_;
  }

  /// The file's name, with its folder's where another evaluation of the model has it.
  std::string evaluation_name(const std::string& model, const fs::path& path) const {
    const std::string name = path.stem().string();
    const bool is_taken = std::any_of(
        run_.evaluations.begin(), run_.evaluations.end(),
        [&](const EvaluationFile& file) { return file.model == model && file.benchmark == name; });
    return is_taken ? path.parent_path().filename().string() + "/" + name : name;
  }

  /// Adds a result file of any kind; other JSON files are left alone.
  void add_result(const fs::path& path) {
    const ordered_json json =
        ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return;
    const std::string file = path.string(), name = path.stem().string();
    const std::string model = model_of_result(json);
    const std::optional<results::ResultKind> kind = results::result_kind(json);
    if (!kind) return;
    switch (*kind) {
      case results::ResultKind::kComparison:
        return add_comparison(name, results::read_comparison(json, file));
      case results::ResultKind::kEvaluation:
        return add_evaluation(path, model, results::read_evaluation(json, file));
      case results::ResultKind::kMismatch:
        run_.mismatches.push_back(
            {results::read_mismatch(json, file), model, recorded_inputs(json)});
        return run_.take_ratings(run_.mismatches.back());
      case results::ResultKind::kCalibration:
        run_.calibrations.push_back({results::read_calibration(json, file), model, name,
                                     /*same_as=*/"", /*trained=*/"", recorded_inputs(json)});
        return run_.take_ratings(run_.calibrations.back());
      case results::ResultKind::kExplanation:
        run_.explanations.push_back({results::read_explanation(json, file), model, name});
        return;
    }
  }

  void add_evaluation(const fs::path& path, const std::string& model, results::Evaluation result) {
    for (const auto& [policy, rating] : result.ratings()) run_.ratings[policy] = rating;
    const std::string evaluated = result.model.empty() ? model : result.model;
    run_.evaluations.push_back(
        {evaluated, evaluation_name(evaluated, path), std::move(result), path});
  }

  /// Of the second model, which is the later one.
  void add_comparison(const std::string& name, results::Comparison result) {
    const std::string second = result.b.name.empty() ? base_ : result.b.name;
    run_.comparisons.push_back({second, name, std::move(result)});
  }

  /// `before.json` and `after.json` are one benchmark's if no model has two results of its kind:
  /// then they have the name of the kind, or the one that eval/ gives it.
  void name_evaluations(std::size_t first) {
    std::map<std::string, std::set<std::string>> models;  // with one result of a kind
    std::set<std::string> ambiguous;
    std::map<std::string, std::string> names;
    for (std::size_t i = 0; i < run_.evaluations.size(); ++i) {
      const EvaluationFile& file = run_.evaluations[i];
      const std::string& kind = file.result.benchmark;
      if (!models[kind].insert(file.model).second) ambiguous.insert(kind);
      names.emplace(kind, i < first ? file.benchmark : kind);
    }
    for (EvaluationFile& file : std::span(run_.evaluations).subspan(first)) {
      const std::string& kind = file.result.benchmark;
      if (!kind.empty() && !ambiguous.contains(kind)) file.benchmark = names.at(kind);
    }
  }

  /// A comparison belongs to the evaluation of its second model, whatever its own file is called;
  /// of several to the one whose file it names.
  void name_comparisons(std::size_t first) {
    for (ComparisonFile& comparison : std::span(run_.comparisons).subspan(first)) {
      std::pair<bool, std::size_t> best;
      for (const EvaluationFile& file : run_.evaluations) {
        if (file.result.benchmark != comparison.result.benchmark) continue;
        const std::pair fit(file.model == comparison.model,
                            num_common_names(file.file, comparison.result.b.path));
        if (fit <= best) continue;
        best = fit;
        comparison.benchmark = file.benchmark;
      }
    }
  }

  /// A model trained on the pairs of a calibration is that calibration's: its manifest names the
  /// pairs, theirs the calibration.
  void add_training(const fs::path& path) {
    TrainingRun training = read_training(path / "metrics.jsonl");
    const std::vector<results::InputFile> inputs = recorded_inputs(storage::read_manifest(path));
    if (!inputs.empty()) training.model = folder_name(inputs.front().path);
    for (const results::InputFile& input : inputs) {
      for (const results::InputFile& source :
           recorded_inputs(storage::read_manifest(folder_ / input.path.filename()))) {
        for (CalibrationFile& calibration : run_.calibrations) {
          if (source.path.filename() != calibration.set + ".json") continue;
          training.set = calibration.set;
          if (calibration.trained.empty()) calibration.trained = path.filename().string();
        }
      }
    }
    run_.trainings.push_back(std::move(training));
  }

  /// Where a model was measured on all prompts and on held-out ones, before and after are compared
  /// on the latter.
  void put_held_out_first() {
    const auto is_held_out = [](const MismatchFile& file) {
      return file.prompts.starts_with("held out");
    };
    std::stable_partition(run_.mismatches.begin(), run_.mismatches.end(), is_held_out);
    for (const MismatchFile& file : run_.mismatches) {
      if (is_held_out(file)) run_.split_models.insert(file.model);
    }
  }

  const fs::path& folder_;
  RunData& run_;
  std::vector<fs::path> trained_;
  std::map<std::string, std::string> model_of_folder_;  // of scores
  std::string base_;  // reward model of results that do not say which scores they are of
};

}  // namespace

void read_flat_run(const fs::path& folder, RunData& run) { FlatRunReader(folder, run).read(); }

}  // namespace charm::report
