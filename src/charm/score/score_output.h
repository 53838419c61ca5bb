#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "charm/score/score_stage.h"
#include "charm/score/score_work.h"
#include "charm/storage/provenance.h"

namespace charm::score {

/// Throws kInput if too many of the rows have no score.
void check_errors(const RowStore& store, std::span<const std::size_t> rows,
                  const std::vector<RowScore>& results, std::int64_t max_bad_rows);

/// Writes the files of the pending policies and updates the folder's manifest, whose options and
/// inputs are those of `manifest`; compares them with `options.check`. Completes the counts of
/// `summary`.
void write_outputs(const ScoreStageOptions& options, const Work& work,
                   const std::vector<RowScore>& results, const storage::Provenance& provenance,
                   nlohmann::ordered_json manifest, ScoreStageResult& summary);

/// The comparison with `options.check`, if that is given. On the written files, so that scores are
/// kept if the comparison fails.
std::optional<ScoreCheck> check_finished(const ScoreStageOptions& options,
                                         const storage::Provenance& provenance,
                                         const RowStore& rows,
                                         const std::vector<std::filesystem::path>& files);

/// A summary of a run that has nothing left to do.
ScoreStageResult complete_already(const ScoreStageOptions& options, const Work& work,
                                  const storage::Provenance& provenance);

}  // namespace charm::score
