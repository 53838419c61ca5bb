#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/score/score_stage.h"
#include "charm/score/score_work.h"
#include "charm/score/shard_journals.h"
#include "charm/score/shard_run.h"

namespace charm::score {

/// The outputs of `work` that are not finished.
std::vector<RunOutput> pending_outputs(const Work& work);

/// Joins the shards of a run in the order of its inputs, if all are complete: the files and the
/// manifest are those of one process. Otherwise tells in `unfinished` which are not. Waits for
/// another process that is joining; where that has done it, `skipped` is set. Needs no model.
ScoreStageResult join_shards(const ScoreStageOptions& options, Work& work, const ShardRun& run);

/// `charm score --merge`: finds the run whose shards are at `options.output` and joins them.
/// Options besides `output` may be left out, as the shards recorded them; those given must be the
/// same. Throws kInput naming the shards that are missing.
ScoreStageResult merge_stage(const ScoreStageOptions& options);

/// Throws kInput where the fingerprints of a run's outputs are not those that its shards have.
void require_unchanged_inputs(const ScoreStageOptions& options, const ShardRun& run,
                              std::span<const std::string> fingerprints);

/// Whether a shard that this process has just completed is gone: another process has joined it.
bool was_joined_by_another(const ScoreStageOptions& options,
                           std::span<const ShardProgress> unfinished);

/// The same for votes (vote_stage.cpp); `options` are those of the shards.
ScoreStageResult merge_votes(const ScoreStageOptions& options, const ShardRun& run);

}  // namespace charm::score
