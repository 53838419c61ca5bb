#pragma once

#include <string>
#include <vector>

#include "charm/report/run_data.h"

namespace charm::report {

struct NamedValue {
  std::string name;
  Measured measured;
  bool is_detail = false;  ///< subsets: in the table only, not in the chart
};

/// The metrics of one evaluation in reading order: overall first, then sections, domains or
/// correlations, then subsets.
std::vector<NamedValue> evaluation_values(const EvaluationFile& evaluation);

/// The benchmark's headline metric (overall, the partial overall, or the rank correlation); nullopt
/// where there is none.
std::optional<NamedValue> headline(const EvaluationFile& evaluation);

/// Caveats: sampled rows, missing parts, unusable rows. Empty for a complete benchmark.
std::string evaluation_caveat(const EvaluationFile& evaluation);

}  // namespace charm::report
