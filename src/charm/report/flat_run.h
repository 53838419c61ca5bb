#pragma once

#include "charm/report/run_data.h"

namespace charm::report {

/// Adds what commands run one by one wrote into a folder and its subfolders (not below them):
/// results are told by their content, whatever their names, folders of scores and of trained models
/// by their files. The folders of a run's layout are read_run's. Reward models have the names of
/// their folders, as the manifests of the scores record them; a result belongs to the model of its
/// first input.
void read_flat_run(const fs::path& folder, RunData& run);

}  // namespace charm::report
