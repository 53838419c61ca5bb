#pragma once

#include <filesystem>
#include <vector>

#include "charm/score/resumed_scoring.h"
#include "charm/score/score_work.h"
#include "charm/storage/provenance.h"

namespace charm::score {

/// The results of the run's rows that need no new pass of the model: rows of finished policies are
/// marked only; rows with equal texts take their score from the policy's file of an earlier run, if
/// it was scored with the same model and settings (`fresh`: from none), and from the files of
/// `options.resume`, which must have been. Throws kInput naming what differs in one of those.
KnownResults reusable_results(const ScoreStageOptions& options,
                              const storage::Provenance& provenance, const Work& work);

}  // namespace charm::score
