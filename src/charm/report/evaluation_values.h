#pragma once

#include <string>
#include <vector>

#include "charm/report/run_data.h"

namespace charm::report {

struct NamedValue {
  std::string name;
  Measured measured;
  bool is_detail = false;  ///< subsets: in the table alone, not in the chart
};

/// The figures of one evaluation in reading order: overall first, then sections, domains or
/// correlations, then subsets.
std::vector<NamedValue> evaluation_values(const EvaluationFile& evaluation);

/// The one figure that stands for the benchmark (overall, the partial overall, or the rank
/// correlation); nullopt where there is none.
std::optional<NamedValue> headline(const EvaluationFile& evaluation);

/// What a reader must know: rows drawn, parts missing, bad rows. Empty for a whole benchmark.
std::string evaluation_caveat(const EvaluationFile& evaluation);

}  // namespace charm::report
