#include <algorithm>
#include <cmath>

#include "charm/report/benchmark_tables.h"
#include "charm/report/sections.h"
#include "charm/stats/pair_table.h"

namespace charm::report {
namespace {

bool excludes(const results::Estimate& measured, double value) {
  return measured.ci95 && (value < measured.ci95->lo || value > measured.ci95->hi);
}

/// No row changed.
bool is_equal(const results::Estimate& difference) {
  return difference.value == 0.0 &&
         (!difference.ci95 || (difference.ci95->lo == 0.0 && difference.ci95->hi == 0.0));
}

/// ", not significant" where the interval includes 0; equal results are no finding by chance.
std::string significance_text(const results::Estimate& difference) {
  if (is_equal(difference)) return ", equal";
  return !difference.ci95 || excludes(difference, 0.0) ? "" : ", not significant";
}

/// Where the run has no held-out prompts, results after training are on the prompts it saw.
std::string in_sample_text(const RunData& run, const std::string& model) {
  return run.split_models.contains(model) ? "" : ", in-sample: the model was trained on them";
}

bool overlap(const results::Estimate& a, const results::Estimate& b) {
  return !a.ci95 || !b.ci95 || (a.ci95->lo <= b.ci95->hi && b.ci95->lo <= a.ci95->hi);
}

/// Effect of the offsets on held-out prompts, and of the length and style correction.
void describe_methods(const RunData& run, const CalibrationFile& calibration,
                      std::vector<std::string>& lines) {
  if (calibration.held_out && calibration.held_out->mean) {
    const results::MeanMismatch& mean = *calibration.held_out->mean;
    lines.push_back(fmt::format(
        "Set {} of {}: on {} held-out prompts the offsets change mean |MD| from {} to {}; expected "
        "under sampling noise: {}.",
        calibration.set, calibration.model, calibration.held_out->num_prompts,
        number_text(mean.before), number_text(mean.after), number_text(mean.sampling_noise)));
  }
  for (const ExplanationFile& file : run.explanations) {
    if (file.model != calibration.model || file.set != calibration.set) continue;
    for (const results::Method& method : file.methods) {
      if (method.name != "style") continue;
      const bool is_held_out = method.held_out.has_value();
      const auto& change = (is_held_out ? *method.held_out : method.fit).change;
      if (!change) continue;
      lines.push_back(fmt::format(
          "Correcting scores for length and style instead changes mean |MD| by {}{}{}.",
          signed_measured_text(change, 3),
          is_held_out ? " on the held-out prompts" : " on the prompts it was fitted to (in-sample)",
          significance_text(*change)));
    }
  }
}

/// Over- or under-valued, if the interval of MD excludes 0.
std::string verdict(const results::Estimate& mismatch) {
  if (!mismatch.ci95) return "no interval was computed";
  if (!excludes(mismatch, 0.0)) return "the interval includes 0";
  return mismatch.value > 0.0 ? "over-valued" : "under-valued";
}

std::string changed_text(const results::Estimate& before, const results::Estimate& after) {
  if (!before.ci95 || !after.ci95) return "significance unknown without intervals";
  return overlap(before, after) ? "the two intervals overlap: the change is not significant"
                                : "the two intervals do not overlap";
}

std::string single_pair_text(const RunData& run, const CalibrationFile& calibration,
                             const results::Pair& pair, const results::Pair* retrained) {
  std::string text =
      fmt::format("Under {}, {} wins {} of {} prompts against {}; the Arena ratings imply {}.",
                  calibration.model, pair.policy, percent_measured_text(pair.before.win_rate),
                  pair.num_prompts, pair.reference, percent_text(pair.target.value));
  const results::Estimate& mismatch = pair.before.mismatch;
  text += fmt::format(" MD {}: {}.", signed_measured_text(mismatch, 3), verdict(mismatch));
  if (retrained == nullptr) {
    return text + " The reward model trained on the calibrated preferences has not been measured.";
  }
  const results::Estimate& changed = retrained->before.mismatch;
  const double before = std::abs(mismatch.value), after = std::abs(changed.value);
  text += fmt::format(" After retraining MD is {} on {} prompts{}, {} 0 than before; {}",
                      signed_measured_text(changed, 3), retrained->num_prompts,
                      in_sample_text(run, calibration.model),
                      after < before   ? "closer to"
                      : after > before ? "further from"
                                       : "as far from",
                      changed_text(mismatch, changed));
  return text + ".";
}

/// Mean |MD| and benchmarks before and after training.
void describe_training(const RunData& run, const CalibrationFile& calibration,
                       std::vector<std::string>& lines) {
  const std::string retrained_model = calibration.retrained_model();
  const MismatchFile* before = run.mismatch_of(calibration.model, calibration);
  const MismatchFile* after = run.mismatch_of(retrained_model, calibration);
  if (before != nullptr && after != nullptr && before->pairs.size() > 2) {
    lines.push_back(fmt::format(
        "Mean |MD| over all ordered pairs: {} under {} ({} pairs), {} under {} ({} pairs{}).",
        number_text(stats::mean_mismatch(before->pairs).before), before->model,
        before->pairs.size(), number_text(stats::mean_mismatch(after->pairs).before), after->model,
        after->pairs.size(), in_sample_text(run, calibration.model)));
  }
  for (const EvaluationFile& first : run.evaluations) {
    if (first.model != calibration.model) continue;
    for (const EvaluationFile& second : run.evaluations) {
      if (second.model != retrained_model || second.benchmark != first.benchmark) continue;
      const auto a = headline(first), b = headline(second);
      if (!a || !b || a->name != b->name) continue;
      const auto difference = headline_difference(run, second.model, first.benchmark);
      lines.push_back(fmt::format(
          "{} ({}): {} under {}, {} under {}; {}.", first.benchmark, a->name,
          measured_text(a->measured), first.model, measured_text(b->measured), second.model,
          difference && difference->ci95
              ? fmt::format("on the same rows the difference is {}{}",
                            signed_measured_text(difference), significance_text(*difference))
          : difference && is_equal(*difference) ? std::string("equal on the same rows")
                                                : changed_text(a->measured, b->measured)));
    }
  }
}

void describe_calibration(const RunData& run, const CalibrationFile& calibration,
                          std::vector<std::string>& lines) {
  const std::string retrained_model = calibration.retrained_model();
  if (calibration.pairs.size() == 1) {
    const results::Pair& pair = calibration.pairs[0];
    lines.push_back(single_pair_text(run, calibration, pair_before(run, calibration, pair),
                                     measured_pair(run, retrained_model, calibration, pair)));
  } else {
    std::size_t over = 0, under = 0, closer = 0, measured = 0;
    for (const results::Pair& calibrated : calibration.pairs) {
      const results::Pair& pair = pair_before(run, calibration, calibrated);
      const results::Estimate& mismatch = pair.before.mismatch;
      if (excludes(mismatch, 0.0)) ++(mismatch.value > 0.0 ? over : under);
      const results::Pair* retrained = measured_pair(run, retrained_model, calibration, pair);
      if (retrained == nullptr) continue;
      ++measured;
      closer += std::abs(retrained->before.mismatch.value) < std::abs(mismatch.value);
    }
    std::string text = calibration.same_as.empty()
                           ? fmt::format(
                                 "Set {} of {}: of {} policies, {} {} over-valued and {} "
                                 "under-valued against {} (95 % interval of MD excludes 0).",
                                 calibration.set, calibration.model, calibration.pairs.size(), over,
                                 over == 1 ? "is" : "are", under, calibration.reference)
                           : fmt::format("Set {} of {} has the same offsets as {}.",
                                         calibration.set, calibration.model, calibration.same_as);
    if (measured > 0) {
      text += fmt::format(" After retraining MD is closer to 0 for {} of {}{}.", closer, measured,
                          in_sample_text(run, calibration.model));
    } else {
      text += " The reward model trained on the calibrated preferences has not been measured.";
    }
    lines.push_back(text);
  }
  if (calibration.same_as.empty()) describe_methods(run, calibration, lines);
  // For many models the table below is more concise.
  constexpr std::size_t kMaxModelsInText = 2;
  if (run.calibrations.size() <= kMaxModelsInText) describe_training(run, calibration, lines);
}

}  // namespace

Section summary_section(const RunData& run) {
  std::vector<std::string> lines;
  for (const CalibrationFile& calibration : run.calibrations)
    describe_calibration(run, calibration, lines);
  if (run.calibrations.empty()) {
    for (const MismatchFile& file : run.mismatches) {
      std::size_t over = 0;
      for (const results::Pair& pair : file.pairs)
        over += pair.before.mismatch.value > 0.0 && excludes(pair.before.mismatch, 0.0);
      lines.push_back(
          fmt::format("Under {}, {} of {} ordered pairs have an MD above 0 whose 95 % interval "
                      "excludes 0; nothing has been calibrated yet.",
                      file.model, over, file.pairs.size()));
    }
  }
  Section section{"summary", "Summary", "", "No mismatch or calibration file was found."};
  if (lines.empty()) return section;
  std::string list = "<ul class=\"summary\">\n";
  for (const std::string& line : lines) list += fmt::format("<li>{}</li>\n", escape_html(line));
  list += "</ul>\n";
  constexpr std::size_t kMaxOpenLines = 12;
  if (lines.size() > kMaxOpenLines) {
    list = fmt::format("<details><summary>{} calibrated sets, one by one</summary>\n{}</details>\n",
                       run.calibrations.size(), list);
  }
  section.html = policy_tables_html(run) + list +
                 "<p class=\"facts\">Square brackets: 95 % bootstrap intervals over "
                 "prompts. They do not cover variation between policies or training seeds.</p>\n" +
                 training_effect_html(run);
  return section;
}

}  // namespace charm::report
