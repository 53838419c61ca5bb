#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "charm/score/score_stage.h"
#include "charm/score/shard.h"
#include "charm/storage/journal.h"
#include "charm/storage/provenance.h"

namespace charm::score {

/// What all shards of a run have in common. The first line of each shard's journal, so that the
/// shards can be joined without the model, and on a machine that could not score with it.
struct ShardRun {
  /// SHA-256 of the outputs' fingerprints and the number of shards: only shards of one run fit
  /// together, as a shard's rows depend on all of the run's inputs.
  std::string id;
  int num_shards = 0;
  std::string owner;  ///< of its journals: model and tokenizer
  std::map<std::string, std::vector<std::string>> options;  ///< that were given, by name
  nlohmann::ordered_json manifest;                          ///< of the run, without outputs

  storage::Provenance provenance() const;
  /// "charm score --model rm ... --shard 1/4": what the process of that shard is started with.
  std::string command(const Shard& shard) const;
};

/// `ShardRun::id`.
std::string run_id(int num_shards, std::span<const std::string> fingerprints);

/// Of the run that `options.shard` belongs to.
///
/// @param fingerprints  of the outputs, in order
/// @param owner         of the journals
ShardRun make_shard_run(const ScoreStageOptions& options, std::span<const std::string> fingerprints,
                        std::string owner, nlohmann::ordered_json manifest);

/// The note of the journals of its shards.
std::string shard_run_note(const ShardRun& run);

/// The options that a run's shards were scored with, and of those given to --merge the output, the
/// tolerated rows and the comparison. Throws kInput where another one was given and differs.
ScoreStageOptions options_of_shards(const ScoreStageOptions& given, const ShardRun& run);

/// Whether the responses or votes that were given, if any, are those of the run.
bool has_inputs(const ShardRun& run, const ScoreStageOptions& given);

/// A shard's journal that is there.
struct FoundShard {
  Shard shard;
  std::filesystem::path target;  ///< see shard_path
  std::string fingerprint;
  ShardRun run;
};

/// The shards of an output, by number. Journals without a complete first line are left out: their
/// processes have just begun.
std::vector<FoundShard> find_shards(const std::filesystem::path& output);

/// The runs whose shards are there, of a file of votes or of a folder of scores.
std::vector<ShardRun> find_runs(const std::filesystem::path& output);

/// Throws kInput where a shard that is there is of another run: another number of shards, another
/// model, other options or inputs; names what differs.
void require_same_run(const FoundShard& found, const ShardRun& run);

}  // namespace charm::score
