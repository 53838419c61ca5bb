#pragma once

#include <cstdint>
#include <string>

#include "charm/demo/world.h"
#include "charm/results/estimate.h"

namespace charm::demo {

/// Estimates of the pipeline in a world with known ground truth, each with its interval.
struct Findings {
  double planted_offset =
      0.0;  ///< score units: minus the mean effect of showy style on the score of the same answers
  double planted_sd = 0.0;  ///< standard deviation of that effect over the probes
  std::int64_t num_probes = 0;
  results::Estimate recovered_offset;     ///< the calibration's offset of the over-valued policy
  double target_win_rate = 0.0;           ///< over-valued against reference, from the ratings
  results::Estimate calibrated_mismatch;  ///< MD on the calibration's prompts with the offset added
  results::Estimate mismatch_before;      ///< MD on held-out prompts, original reward model
  results::Estimate mismatch_after;       ///< MD on held-out prompts, fine-tuned reward model
  results::Estimate hard_before,
      hard_after;  ///< accuracy where the worse answer has the showier style
  results::Estimate normal_before, normal_after;  ///< accuracy at equal style
  bool planted_in_interval() const {
    return planted_offset >= recovered_offset.ci95->lo &&
           planted_offset <= recovered_offset.ci95->hi;
  }
};

/// Scores the probes with the reward model and reads the pipeline's results from the run directory.
///
/// The planted offset is measured independently of the policies: the probes are new answers, each
/// scored in plain and showy style by the reward model that was trained on the biased annotations.
/// The difference is due to style alone; its mean is what an offset must remove.
Findings find(const World& world, int threads);

/// world.json, as the report shows it.
void write_findings(const World& world, const WorldOptions& options, const Findings& findings);

/// A short plain-text table.
std::string findings_text(const Findings& findings);

}  // namespace charm::demo
