#include "charm/pipeline/runner.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "charm/base/companions.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/base/strings.h"
#include "charm/pipeline/recipe.h"
#include "charm/pipeline/run_paths.h"
#include "charm/report/report_stage.h"
#include "charm/storage/manifest.h"

namespace charm::pipeline {
namespace {

/// Content hashes of files and folders, cached until a step rewrites them.
class HashCache {
 public:
  std::string of(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error)) return "";
    const auto [entry, added] = hashes_.try_emplace(path.string());
    if (added) entry->second = storage::sha256_of_path(path);
    return entry->second;
  }
  void invalidate(const std::vector<fs::path>& paths) {
    for (const fs::path& path : paths) hashes_.erase(path.string());
  }

 private:
  std::map<std::string, std::string> hashes_;
};

std::size_t stage_index(const std::string& name) {
  const auto stages = stage_names();
  const auto found = std::find(stages.begin(), stages.end(), name);
  if (found != stages.end()) return static_cast<std::size_t>(found - stages.begin());
  std::string known;
  for (const std::string_view stage : stages)
    known += (known.empty() ? "" : ", ") + std::string(stage);
  throw Error(ErrorKind::kUsage, "unknown stage '{}'; known: {}", name, known);
}

fs::path record_path(const fs::path& run_dir, const Step& step) {
  return RunPaths{run_dir}.step_record(file_name_of(step.name));
}

/// The fingerprint recorded by a finished step, if any.
std::optional<std::string> recorded_fingerprint(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  const nlohmann::json record =
      nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("fingerprint") ||
      !record["fingerprint"].is_string()) {
    log::warning("{}: not a step record; the step is run again", path.string());
    return std::nullopt;
  }
  return record["fingerprint"].get<std::string>();
}

void write_record(const fs::path& path, const Step& step, const std::string& fingerprint,
                  const fs::path& run_dir) {
  nlohmann::ordered_json record = {
      {"step", step.name}, {"stage", step.stage}, {"fingerprint", fingerprint}};
  for (const Setting& setting : step.settings) record["settings"][setting.name] = setting.values;
  for (const fs::path& output : step.outputs)
    record["outputs"].push_back(output.lexically_relative(run_dir).generic_string());
  write_file(path, record.dump(2) + "\n");
}

nlohmann::json read_outputs(const fs::path& path) {
  const nlohmann::json json =
      nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json.value("outputs", nlohmann::json::array())
                          : nlohmann::json::array();
}

/// Lists what steps of an earlier form of the recipe made and no step of the plan makes. It stays
/// where it is: a recipe that is changed back finds it again.
void note_earlier_results(const std::vector<Step>& plan, const fs::path& run_dir) {
  const fs::path list = run_dir / report::kEarlierResults;
  if (!fs::is_directory(list.parent_path())) return;
  std::set<std::string> earlier;
  for (const fs::directory_entry& record : fs::directory_iterator(list.parent_path())) {
    if (record.path().extension() != ".json") continue;
    for (const nlohmann::json& output : read_outputs(record.path())) {
      if (output.is_string() && fs::exists(run_dir / output.get<std::string>()))
        earlier.insert(output.get<std::string>());
    }
  }
  for (const Step& step : plan) {
    for (const fs::path& output : step.outputs)
      earlier.erase(output.lexically_relative(run_dir).generic_string());
  }
  if (earlier.empty() && !fs::exists(list)) return;
  const nlohmann::ordered_json json = {{"outputs", earlier}};
  write_file(list, json.dump(2) + "\n");
  if (earlier.empty()) return;
  log::info(
      "{}: {} results of an earlier form of the recipe stay and are in no table of the report: "
      "{}{}",
      run_dir.string(), earlier.size(), *earlier.begin(), earlier.size() > 1 ? ", ..." : "");
}

bool outputs_exist(const Step& step) {
  std::error_code error;
  return std::all_of(step.outputs.begin(), step.outputs.end(),
                     [&](const fs::path& output) { return fs::exists(output, error); });
}

void remove_outputs(const Step& step) {
  for (const fs::path& output : step.outputs) {
    std::error_code error;
    fs::remove_all(output, error);
    if (error)
      throw Error(ErrorKind::kIo, "{}: cannot be removed: {}", output.string(), error.message());
  }
}

/// Of a step that starts: until it ends its outputs may be those of an earlier run.
void mark_unfinished(const fs::path& path, const Step& step) {
  const nlohmann::ordered_json record = {
      {"step", step.name}, {"stage", step.stage}, {"fingerprint", ""}};
  write_file(path, record.dump(2) + "\n");
}

/// So that each folder of Parquet files can be read as a whole.
void keep_companions_apart(const Step& step, const fs::path& run_dir) {
  for (const fs::path& output : step.outputs) {
    if (output.extension() == ".parquet" && output.parent_path() != run_dir)
      keep_companions_outside(output.parent_path(), run_dir);
  }
}

void require_outputs(const Step& step, const fs::path& run_dir, const std::string& from) {
  std::error_code error;
  if (step.reuses_outputs && recorded_fingerprint(record_path(run_dir, step)) == "") {
    throw Error(ErrorKind::kUsage,
                "--from {}: the earlier step '{}' was interrupted; run without --from", from,
                step.name);
  }
  for (const fs::path& output : step.outputs) {
    if (!fs::exists(output, error)) {
      throw Error(ErrorKind::kUsage,
                  "--from {}: output '{}' of the earlier step '{}' is missing; run without --from",
                  from, output.string(), step.name);
    }
  }
}

}  // namespace

std::string step_fingerprint(const Step& step,
                             const std::function<std::string(const fs::path&)>& hash_of) {
  nlohmann::ordered_json key = {{"stage", step.stage}, {"name", step.name}};
  for (const Setting& setting : step.settings)
    key["settings"].push_back({setting.name, setting.values});
  for (const fs::path& input : step.inputs) key["inputs"].push_back(hash_of(input));
  return sha256_hex(key.dump());
}

RunSummary run_plan(const std::vector<Step>& plan, const fs::path& run_dir,
                    const RunOptions& options, const StepFn& on_step, const ProgressFn& progress) {
  const std::size_t from = options.from.empty() ? 0 : stage_index(options.from);
  const std::size_t until =
      options.until.empty() ? stage_names().size() - 1 : stage_index(options.until);
  if (from > until)
    throw Error(ErrorKind::kUsage, "--from {} comes after --until {}", options.from, options.until);
  std::optional<OutputLock> lock;
  if (!options.dry_run) {
    require_writable(run_dir / "steps" / "record");
    lock.emplace(OutputLock::of_folder(run_dir));
    note_earlier_results(plan, run_dir);
  }
  HashCache hashes;
  RunSummary summary;
  bool upstream_pending = false;  // dry run: an earlier step would change its outputs
  for (std::size_t index = 0; index < plan.size(); ++index) {
    const Step& step = plan[index];
    StepReport report{.step = &step, .note = {}};
    const std::size_t stage = stage_index(step.stage);
    if (stage < from || stage > until) {
      if (stage < from) require_outputs(step, run_dir, options.from);
      on_step(index, report);
      continue;
    }
    const fs::path record = record_path(run_dir, step);
    const std::optional<std::string> recorded = recorded_fingerprint(record);
    const std::string fingerprint =
        step_fingerprint(step, [&](const fs::path& path) { return hashes.of(path); });
    if (!recorded || recorded->empty()) {
      report.state = StepState::kRun;
    } else if (options.fresh || upstream_pending || *recorded != fingerprint ||
               !outputs_exist(step)) {
      report.state = StepState::kChanged;
    } else {
      report.state = StepState::kDone;
    }
    if (report.state == StepState::kDone) {
      ++summary.num_kept;
      on_step(index, report);
      continue;
    }
    ++summary.num_run;
    on_step(index, report);
    if (options.dry_run) {
      upstream_pending = true;
      continue;
    }
    try {
      if (report.state == StepState::kChanged || options.fresh) {
        std::error_code error;
        fs::remove(record, error);
        if (!step.reuses_outputs) remove_outputs(step);
      }
      if (step.reuses_outputs) mark_unfinished(record, step);
      keep_companions_apart(step, run_dir);
      step.run({.fresh = options.fresh,
                .threads = options.threads,
                .progress = progress,
                .note = [&](const std::string& text) { report.note = text; }});
    } catch (const Error& error) {
      throw as_input(error.with_context(fmt::format("step '{}'", step.name)));
    }
    hashes.invalidate(step.outputs);
    write_record(record, step, fingerprint, run_dir);
    report.finished = true;
    on_step(index, report);
  }
  return summary;
}

}  // namespace charm::pipeline
