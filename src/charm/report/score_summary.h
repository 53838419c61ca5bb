#pragma once

#include <span>
#include <string>

#include "charm/report/run_data.h"

namespace charm::report {

/// Reads the scores files of one reward model (texts are not read) and counts each policy's scores
/// into bins that all its policies share.
ModelScores summarise_scores(const std::string& model, std::span<const fs::path> files);

}  // namespace charm::report
