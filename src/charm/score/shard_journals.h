#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/output_lock.h"
#include "charm/score/resumed_scoring.h"
#include "charm/score/score_stage.h"
#include "charm/score/shard.h"
#include "charm/score/shard_run.h"

// Shards of one run meet in their journals: each process appends to its own, one per output, and
// whoever finds all of them complete joins them. docs/decisions/0103 has the reasons.
namespace charm::score {

/// How long a process that has finished waits for another one that is joining.
inline constexpr std::chrono::minutes kJoinWait{10};

/// An output of a run, and the rows of the run that it holds, in its order.
struct RunOutput {
  std::filesystem::path file;
  std::vector<std::size_t> rows;
  std::string fingerprint;
};

/// The locks of a process that scores: a shard's own, or without a shard those of the outputs and
/// of all their shards that are there. Throws kIo where another process has one of them, or scores
/// the outputs as a whole.
OutputLock lock_for_scoring(const std::vector<std::filesystem::path>& files,
                            const std::optional<Shard>& shard);

/// Throws kInput where a shard of another run is there (require_same_run); with `fresh` those are
/// removed, unless a process is at work on one.
void require_one_run(std::span<const RunOutput> outputs, const ShardRun& run, bool fresh);

/// Results that the shards of an interrupted run left, for a process that goes on without a shard.
/// Shards of other options or inputs are said in a warning.
void take_shard_results(std::span<const RunOutput> outputs, KnownResults& known);

/// Removes the journals of all shards of these outputs.
void remove_shards(std::span<const RunOutput> outputs);

/// What the shards of a run have scored.
struct JoinedShards {
  KnownResults known;
  std::vector<ShardProgress> shards;  ///< by number
  std::vector<bool> complete;         ///< [output] all of its rows are there

  std::vector<ShardProgress> unfinished() const;
};

/// Reads the journals of all shards. Throws kInput where one is of another run.
JoinedShards read_shards(const RowStore& store, std::span<const RunOutput> outputs,
                         const ShardRun& run);

/// "shard 1/4 (12 of 60 rows scored), shard 3/4 (0 of 61 rows scored)".
std::string shards_text(std::span<const ShardProgress> shards);

/// Throws kInput naming the shards that are missing at a merge, with the command of the first one.
[[noreturn]] void throw_missing(const std::filesystem::path& output,
                                std::span<const ShardProgress> unfinished, const ShardRun& run);

}  // namespace charm::score
