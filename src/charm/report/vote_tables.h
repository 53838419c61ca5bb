#pragma once

#include <string>

#include "charm/report/run_data.h"

namespace charm::report {

/// Votes with and without offsets.
std::string votes_html(const RunData& run, const EvaluationFile& evaluation);

/// What best-of-n picks before and after correction, for every n.
std::string audit_html(const RunData& run, const EvaluationFile& evaluation);

/// Temperature, style weights and what the fit was made from; empty for a calibration from ratings.
std::string vote_fit_html(const CalibrationFile& calibration);

}  // namespace charm::report
