#pragma once

#include <span>
#include <string>

#include "charm/report/run_data.h"

namespace charm::report {

/// Reads the scores files of one reward model (without texts); histograms of all policies share
/// their bins.
ModelScores summarise_scores(const std::string& model, std::span<const fs::path> files);

}  // namespace charm::report
