#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/engine/reward_model.h"
#include "charm/score/check_scores.h"
#include "charm/score/scorer.h"
#include "charm/score/shard.h"
#include "charm/storage/read_options.h"
#include "charm/text/conversation_encoder.h"

namespace charm {
class OptionTable;
}

namespace charm::score {

struct ScoreStageOptions {
  std::filesystem::path model_dir;  ///< Hugging Face folder of the reward model
  std::vector<std::filesystem::path>
      responses;  ///< response files; rows of one prompt share its prefix across files
  std::vector<std::filesystem::path> votes;  ///< files of votes with texts, instead of responses
  std::filesystem::path output;  ///< folder for one <policy>.parquet per policy; of votes a file
  engine::RewardModelOptions model;  ///< dtype, device, threads
  text::EncoderOptions encoder;      ///< length limit, truncation, BOS, template
  ScorerOptions scorer;              ///< token budget, pooling
  storage::ColumnNames columns;      ///< of the responses, where they have other names
  std::int64_t max_bad_rows = 0;     ///< invalid input rows and rows without a score to tolerate
  bool fresh = false;                ///< discard the output and journal of an earlier run
  /// Earlier scores files of the same model and settings: their scores are reused for rows with
  /// equal texts.
  std::vector<std::filesystem::path> resume;
  bool replace_other_model =
      false;  ///< overwrite an output or journal of another model; otherwise an error
  std::vector<std::filesystem::path>
      check;  ///< scores of another program to compare with; see check_scores.h
  std::optional<double> check_tolerance;  ///< default: `default_tolerance` of the dtype
  std::optional<Shard> shard;  ///< this process's part of the work; empty, or of one: all of it
  bool merge = false;          ///< join the shards of a run instead of scoring
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, ScoreStageOptions& options);

/// All options of `charm score`.
void describe_command(OptionTable& table, ScoreStageOptions& options);

/// How far a shard is.
struct ShardProgress {
  Shard shard;
  std::int64_t num_rows = 0;
  std::int64_t num_scored = 0;
};

struct ScoreStageResult {
  std::vector<std::filesystem::path> files;  ///< one per policy, in order of first appearance
  std::int64_t num_rows = 0;
  std::int64_t num_errors = 0;           ///< rows with an error instead of a score
  std::int64_t num_truncated = 0;        ///< rows truncated to the length limit
  std::int64_t num_reused = 0;           ///< rows whose score an earlier run or `resume` had
  std::int64_t num_reused_policies = 0;  ///< with such rows
  bool skipped = false;                  ///< the output was complete already
  std::optional<ScoreCheck> check;       ///< if `check` was given
  /// Shards that are not complete, so that nothing is joined yet: then the counts above are those
  /// of this process's shard.
  std::vector<ShardProgress> unfinished;
};

/// `charm score`: scores responses, writes `<output>/<policy>.parquet` and
/// `<output>/manifest.json`. Each policy has its own lock, journal (`<policy>.parquet.journal`) and
/// manifest entry: runs of different policies may share a folder, also at the same time. A policy
/// that is complete with the same inputs and options is left alone; of one whose file was scored
/// with the same model and settings only rows with other texts are scored. An interrupted run
/// resumes from its journals and gives the same bytes. Every file has its provenance
/// (score_provenance.h). With `shard` several processes share the rows; the last one to finish
/// joins them (merge_shards.h).
ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress);

/// "reused N rows of M policies, scored K rows".
std::string reuse_text(const ScoreStageResult& result);

/// The same for `votes`: both responses of every vote, each text once, into one
/// scored-votes file (storage::write_scored_votes). Called by `score_stage` for options with votes.
ScoreStageResult score_votes(const ScoreStageOptions& options, const ProgressFn& progress);

/// A policy's file in a score folder; characters invalid in file names become '_'.
std::filesystem::path score_file(const std::filesystem::path& folder, const std::string& policy);

}  // namespace charm::score
