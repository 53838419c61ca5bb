#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/calibrate/calibration.h"
#include "charm/explain/explanation.h"
#include "charm/explain/texts.h"
#include "charm/records/arena.h"

namespace charm::explain {

/// The members of calibration.json that an explanation uses.
struct CalibrationFacts {
  std::string reference;
  calibrate::SolveOptions solve;  ///< mode, solver, ties, weights, temperature
  std::vector<PolicyOffset> offsets;
  std::vector<ArenaRating> ratings;
  std::int64_t num_prompts = 0;
  std::optional<Split> split;  ///< if a share of the prompts was held out of the fit
};

/// Throws kInput naming the file and the member for a file that charm calibrate has not written.
CalibrationFacts read_calibration_facts(const fs::path& path);

}  // namespace charm::explain
