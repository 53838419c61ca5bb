#include "charm/report/run_data.h"

#include <algorithm>
#include <cmath>

#include "charm/base/error.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

/// Result files and folders in a folder, sorted by name; none when the folder is missing.
/// Unfinished files and manifests are skipped.
std::vector<fs::path> results_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  if (!fs::is_directory(folder)) return paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || name.ends_with(".partial") || name.ends_with(".journal") ||
        name.ends_with(".lock") || name.ends_with("manifest.json")) {
      continue;
    }
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<fs::path> json_files_in(const fs::path& folder) {
  std::vector<fs::path> paths = results_in(folder);
  std::erase_if(paths, [](const fs::path& path) {
    return path.extension() != ".json" || fs::is_directory(path);
  });
  return paths;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> paths = results_in(folder);
  std::erase_if(paths, [](const fs::path& path) { return !fs::is_directory(path); });
  return paths;
}

ordered_json read_json(const fs::path& path) {
  ordered_json json = ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    throw Error(ErrorKind::kInput, "{}: expected a JSON object", path.string());
  return json;
}

std::string text_at(const ordered_json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return {};
  return it->is_string() ? it->get<std::string>() : it->dump();
}

std::optional<stats::Interval> interval_at(const ordered_json& object, const std::string& name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_array() || it->size() != 2 || !(*it)[0].is_number() ||
      !(*it)[1].is_number())
    return {};
  return stats::Interval{(*it)[0].get<double>(), (*it)[1].get<double>()};
}

/// The members of a list, or of an object whose keys are names ("name" is then put into each).
std::vector<ordered_json> entries_at(const ordered_json& object, const char* name) {
  std::vector<ordered_json> entries;
  const auto it = object.find(name);
  if (it == object.end()) return entries;
  for (const auto& [key, value] : it->items()) {
    ordered_json entry = value.is_object() ? value : ordered_json{{"name", value}};
    if (it->is_object()) entry["name"] = key;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string policy_of(const ordered_json& entry) {
  for (const char* name : {"policy", "name", "model"}) {
    if (std::string text = text_at(entry, name); !text.empty()) return text;
  }
  return {};
}

void take_ratings(const ordered_json& json, std::map<std::string, double>& ratings) {
  for (const ordered_json& entry : entries_at(json, "policies")) {
    if (const auto rating = measured_at(entry, {"rating", "rating_elo"}))
      ratings[policy_of(entry)] = rating->value;
  }
}

PairResult parse_pair(const ordered_json& entry) {
  PairResult pair;
  pair.policy = policy_of(entry);
  pair.reference = text_at(entry, "reference");
  if (const auto count = measured_at(entry, {"num_prompts"}))
    pair.num_prompts = static_cast<std::int64_t>(count->value);
  pair.target = measured_at(entry, {"target_win_rate"});
  if (pair.target && !pair.target->ci95) pair.target->ci95 = interval_at(entry, "target_ci95");
  pair.win_rate = measured_at(entry, {"win_rate_before", "win_rate"});
  pair.mismatch = measured_at(entry, {"mismatch_before", "mismatch"});
  pair.win_rate_after = measured_at(entry, {"win_rate_after"});
  pair.mismatch_after = measured_at(entry, {"mismatch_after"});
  if (const auto residual = measured_at(entry, {"residual"})) pair.residual = residual->value;
  if (const auto ties = measured_at(entry, {"ties_before", "ties"}))
    pair.ties = static_cast<std::int64_t>(ties->value);
  return pair;
}

std::optional<MeanMismatch> mean_at(const ordered_json& object) {
  const auto it = object.find("mean_abs_mismatch");
  if (it == object.end() || !it->is_object()) return std::nullopt;
  const auto before = measured_at(*it, {"before"});
  const auto after = measured_at(*it, {"after"});
  const auto sampling_noise = measured_at(*it, {"by_chance"});
  if (!before || !after || !sampling_noise) return std::nullopt;
  return MeanMismatch{before->value, after->value, sampling_noise->value};
}

// The check on held-out prompts if available, else that on the fit.
HeldOutPolicy parse_held_out_policy(const ordered_json& entry) {
  HeldOutPolicy policy;
  policy.policy = policy_of(entry);
  const auto held_out = entry.find("held_out");
  policy.is_held_out = held_out != entry.end() && held_out->is_object();
  const ordered_json& check = policy.is_held_out ? *held_out : entry.at("fit");
  policy.before = check.at("before").get<double>();
  policy.after = check.at("after").get<double>();
  policy.with_all = check.at("with_all").get<double>();
  policy.change_ci95 = interval_at(check, "change_ci95");
  return policy;
}

CalibrationFile parse_calibration(const fs::path& path, const ordered_json& json,
                                  std::map<std::string, double>& ratings) {
  take_ratings(json, ratings);
  CalibrationFile file;
  file.model = path.parent_path().filename().string();
  file.set = path.stem().string();
  file.mode = text_at(json, "mode");
  file.solver = text_at(json, "solver");
  file.ties = text_at(json, "ties");
  file.reference = text_at(json, "reference");
  if (const auto count = measured_at(json, {"num_prompts"}))
    file.num_prompts = static_cast<std::int64_t>(count->value);
  for (const ordered_json& entry : entries_at(json, "policies")) {
    PolicyOffset policy;
    policy.policy = policy_of(entry);
    if (const auto rating = measured_at(entry, {"rating", "rating_elo"}))
      policy.rating_elo = rating->value;
    policy.offset = measured_at(entry, {"offset"});
    policy.plateau = interval_at(entry, "offset_interval");
    file.policies.push_back(std::move(policy));
  }
  for (const ordered_json& entry : entries_at(json, "pairs"))
    file.pairs.push_back(parse_pair(entry));
  file.mean = mean_at(json);
  if (const auto held_out = json.find("held_out");
      held_out != json.end() && held_out->is_object()) {
    HeldOutFile& part = file.held_out.emplace();
    if (const auto count = measured_at(*held_out, {"num_prompts"}))
      part.num_prompts = static_cast<std::int64_t>(count->value);
    part.mean = mean_at(*held_out);
    for (const ordered_json& entry : entries_at(*held_out, "pairs"))
      part.pairs.push_back(parse_pair(entry));
  }
  for (const ordered_json& entry : entries_at(json, "left_out"))
    file.held_out_policies.push_back(parse_held_out_policy(entry));
  for (const ordered_json& entry : entries_at(json, "warnings"))
    file.warnings.push_back(policy_of(entry));
  return file;
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

void read_manifests(const fs::path& run_dir, std::vector<ManifestFile>& manifests) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run_dir)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".manifest.json") || name == "manifest.json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths)
    manifests.push_back({path.lexically_relative(run_dir).string(), read_json(path)});
}

}  // namespace

std::optional<Measured> measured_at(const ordered_json& object,
                                    std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto it = object.find(name);
    if (it == object.end() || !it->is_number()) continue;
    return Measured{it->get<double>(), interval_at(object, std::string(name) + "_ci95")};
  }
  return {};
}

const ordered_json& object_at(const ordered_json& object, const char* name) {
  static const ordered_json kNothing = ordered_json::object();
  const auto it = object.find(name);
  return it != object.end() && it->is_object() ? *it : kNothing;
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

const ModelScores* RunData::scores_of(const std::string& model) const {
  const auto it = std::find_if(scores.begin(), scores.end(),
                               [&](const auto& entry) { return entry.model == model; });
  return it == scores.end() ? nullptr : &*it;
}

bool RunData::empty() const {
  return mismatches.empty() && calibrations.empty() && scores.empty() && trainings.empty() &&
         evaluations.empty();
}

RunData read_run(const fs::path& run_dir) {
  if (!fs::is_directory(run_dir)) {
    throw Error(
        ErrorKind::kIo,
        "{}: no such folder; --run expects the run directory of a finished or running `charm run`",
        run_dir.string());
  }
  RunData run;
  const fs::path normal = fs::absolute(run_dir).lexically_normal();
  run.name = (normal.has_filename() ? normal : normal.parent_path()).filename().string();
  for (const fs::path& path : json_files_in(run_dir / "mismatch")) {
    const ordered_json json = read_json(path);
    take_ratings(json, run.ratings);
    MismatchFile file{path.stem().string(), {}};
    for (const ordered_json& entry : entries_at(json, "pairs"))
      file.pairs.push_back(parse_pair(entry));
    run.mismatches.push_back(std::move(file));
  }
  for (const fs::path& folder : folders_in(run_dir / "calibration")) {
    std::map<std::string, std::string> set_of_result;
    for (const fs::path& path : json_files_in(folder)) {
      const ordered_json json = read_json(path);
      CalibrationFile file = parse_calibration(path, json, run.ratings);
      const auto [earlier, is_new] = set_of_result.emplace(json.dump(), file.set);
      if (!is_new) file.same_as = earlier->second;
      run.calibrations.push_back(std::move(file));
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "scores")) {
    // With held-out prompts, before and after are shown on those only.
    const fs::path held_out = run_dir / "splits" / "held-out" / folder.filename();
    std::vector<fs::path> files = results_in(fs::exists(held_out) ? held_out : folder);
    std::erase_if(files, [](const fs::path& path) {
      const std::string name = path.filename().string();
      return !name.ends_with(".parquet") && !name.ends_with(".jsonl") &&
             !name.ends_with(".jsonl.gz");
    });
    if (!files.empty()) run.scores.push_back(summarise_scores(folder.filename().string(), files));
  }
  for (const fs::path& model : folders_in(run_dir / "models")) {
    for (const fs::path& set : folders_in(model)) {
      if (fs::exists(set / "metrics.jsonl"))
        run.trainings.push_back(read_training(set / "metrics.jsonl"));
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "eval")) {
    for (const fs::path& path : json_files_in(folder)) {
      run.evaluations.push_back(
          {folder.filename().string(), path.stem().string(), read_json(path)});
      take_ratings(run.evaluations.back().json, run.ratings);
    }
  }
  for (const fs::path& folder : folders_in(run_dir / "comparison")) {
    for (const fs::path& path : json_files_in(folder))
      run.comparisons.push_back(
          {folder.filename().string(), path.stem().string(), read_json(path)});
  }
  for (const fs::path& folder : folders_in(run_dir / "explanation")) {
    for (const fs::path& path : json_files_in(folder))
      run.explanations.push_back(
          {folder.filename().string(), path.stem().string(), read_json(path)});
  }
  for (const fs::path& path : json_files_in(run_dir / "splits"))
    run.split_models.insert(path.stem().string());
  if (fs::exists(run_dir / "world.json")) run.world = read_json(run_dir / "world.json");
  read_manifests(run_dir, run.manifests);
  return run;
}

}  // namespace charm::report
