#include "charm/report/case_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/storage/manifest.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::report {
namespace {

/// Runs `add`; what is wrong with a group's files becomes its note.
void add_group(CaseBuilder& builder, const std::function<void()>& add) {
  try {
    add();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput && error.kind() != ErrorKind::kIo &&
        error.kind() != ErrorKind::kUsage) {
      throw;
    }
    builder.note(fmt::format("No cases: {}.", error.message()));
  }
}

void add_calibration_cases(const RunData& run, const CalibrationFile& file, CasePrompts prompts,
                           CaseBuilder& builder) {
  const bool is_held_out = prompts == CasePrompts::kHeldOut;
  builder.begin_group(
      is_held_out ? held_out_cases(file.model, file.set) : offset_cases(file.model, file.set),
      fmt::format("{}, {} calibrated on {}", is_held_out ? "Held-out prompts" : "Offsets",
                  file.model, file.set),
      file.votes ? "votes on which the offset changes the reward model's choice come first, then "
                   "votes that it contradicts"
                 : "comparisons whose winner the offset changes come first, then score differences "
                   "in the direction that it corrects");
  file.votes ? add_vote_offset_cells(file, prompts, builder)
             : add_offset_cells(run, file, prompts, builder);
}

}  // namespace

std::vector<fs::path> only_scores(std::vector<fs::path> files) {
  std::erase_if(files, [](const fs::path& path) { return !holds_scores(path); });
  return files;
}

std::vector<fs::path> only_votes(std::vector<fs::path> files) {
  std::erase_if(files, [](const fs::path& path) { return !holds_votes(path); });
  return files;
}

std::vector<results::InputFile> scores_of_evaluation(const EvaluationFile& file) {
  const nlohmann::ordered_json manifest = storage::read_manifest(file.file);
  const auto scores = manifest.is_object() ? manifest.find("scores") : manifest.end();
  std::vector<results::InputFile> files;
  if (manifest.is_object() && scores != manifest.end() && scores->is_array()) {
    const std::vector<results::InputFile> inputs = recorded_inputs(manifest);
    for (const auto& path : *scores) {
      if (!path.is_string()) continue;
      const auto input =
          std::ranges::find(inputs, fs::path(path.get<std::string>()), &results::InputFile::path);
      files.push_back(input != inputs.end()
                          ? *input
                          : results::InputFile{.path = path.get<std::string>(), .sha256 = ""});
    }
  }
  if (files.empty())
    files.push_back({fs::path(file.file).replace_extension(".scores.parquet"), ""});
  return files;
}

CaseSet collect_cases(const RunData& run, std::int64_t per_cell, std::uint64_t seed,
                      const ProgressFn& progress) {
  CaseBuilder builder(run.folder, per_cell, seed);
  std::int64_t num_done = 0;
  const auto add = [&](const std::function<void()>& group) {
    add_group(builder, group);
    if (progress) {
      progress({.what = "reading cases",
                .done = ++num_done,
                .total = 0,
                .unit = "results",
                .detail = {}});
    }
  };
  for (const MismatchFile& file : run.mismatches) {
    add([&] {
      file.votes ? add_vote_mismatch_cases(run, file, builder)
                 : add_mismatch_cases(run, file, builder);
    });
  }
  for (const CalibrationFile& file : run.calibrations) {
    if (!file.same_as.empty()) continue;
    add([&] { add_calibration_cases(run, file, CasePrompts::kFit, builder); });
    if (file.held_out)
      add([&] { add_calibration_cases(run, file, CasePrompts::kHeldOut, builder); });
  }
  for (const EvaluationFile& file : run.evaluations) {
    if (file.result.benchmark == "arena") continue;  // a correlation over policies
    add([&] {
      if (!file.result.picks.empty()) {
        add_audit_cases(file, builder);
      } else if (!file.result.predictions.empty()) {
        add_vote_prediction_cases(file, builder);
      } else {
        add_benchmark_cases(file, builder);
      }
    });
  }
  return builder.finish();
}

namespace {

/// Whether the first row has these columns; false for files of other kinds.
bool has_columns(const fs::path& path, const std::vector<std::string>& any_of_ids,
                 const std::vector<std::string>& any_of) {
  std::vector<std::string> columns = any_of_ids;
  columns.insert(columns.end(), any_of.begin(), any_of.end());
  try {
    storage::RowReader reader(path, {}, columns);
    const storage::RowView* row = reader.next();
    const auto has = [row](const std::string& name) { return row->has(name); };
    return row != nullptr && std::ranges::any_of(any_of_ids, has) &&
           std::ranges::any_of(any_of, has);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

}  // namespace

bool holds_scores(const fs::path& path) {
  if (fs::is_directory(path) || holds_votes(path)) return false;
  std::vector<std::string> ids = {"prompt_id"};
  ids.insert(ids.end(), std::begin(storage::kPromptColumns), std::end(storage::kPromptColumns));
  return has_columns(path, ids, {"score", "error"});
}

bool holds_votes(const fs::path& path) {
  return !fs::is_directory(path) && has_columns(path, {"model_a"}, {"score_a", "error"});
}

}  // namespace charm::report
