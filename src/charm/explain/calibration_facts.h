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

/// What an explanation takes from calibration.json.
struct CalibrationFacts {
  std::string reference;
  calibrate::SolveOptions solve;  ///< mode, solver, ties, weights, temperature
  std::vector<PolicyOffset> offsets;
  std::vector<ArenaRating> ratings;
  std::int64_t num_prompts = 0;
  std::optional<Split> split;  ///< where it kept a share of the prompts from the fit
};

/// Throws kInput naming the file and the member for anything that charm calibrate does not write.
CalibrationFacts read_calibration_facts(const fs::path& path);

}  // namespace charm::explain
