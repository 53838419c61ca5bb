#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/dist/world.h"
#include "charm/model/reward_model.h"
#include "charm/score/check_scores.h"
#include "charm/score/scorer.h"
#include "charm/text/conversation_encoder.h"

namespace charm::score {

struct ScoreStageOptions {
  std::filesystem::path model_dir;  ///< Hugging Face folder of the reward model
  std::vector<std::filesystem::path>
      responses;  ///< response files; rows of one prompt share its computation across files
  std::filesystem::path output;     ///< folder that receives one <policy>.parquet each
  model::RewardModelOptions model;  ///< dtype, device, threads
  text::EncoderOptions encoder;     ///< length limit, truncation, BOS, template
  ScorerOptions scorer;             ///< token budget, pooling
  std::int64_t max_bad_rows =
      0;               ///< input rows that may be unusable, and rows that may end without a score
  bool fresh = false;  ///< forget what an interrupted or earlier run finished
  /// Earlier scores files of the same model and settings: their rows are taken over where the texts
  /// are equal.
  std::vector<std::filesystem::path> resume;
  bool replace_other_model =
      false;  ///< an output or journal of another model is replaced; otherwise it is an error
  std::vector<std::filesystem::path>
      check;  ///< files with scores made elsewhere, to compare with; see check_scores.h
  std::optional<double> check_tolerance;  ///< default: `default_tolerance` of the dtype
};

struct ScoreStageResult {
  std::vector<std::filesystem::path> files;  ///< one per policy, in order of first appearance
  std::int64_t num_rows = 0;
  std::int64_t num_errors = 0;      ///< rows that carry an error instead of a score
  std::int64_t num_truncated = 0;   ///< rows cut to the length limit
  std::int64_t num_resumed = 0;     ///< rows taken over from `resume`
  bool skipped = false;             ///< everything was there already
  std::optional<ScoreCheck> check;  ///< where `check` was given
};

/// `charm score`: reads responses, scores them, writes `<output>/<policy>.parquet` and
/// `<output>/manifest.json`. An interrupted run continues from its journal (`<output>.journal`) and
/// ends with the same bytes. Every file carries its provenance (score_provenance.h).
ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress);

/// The same shared by all processes of `world`, each called with the same options; rank 0 writes
/// the files, and only its result counts. Tells the others when it fails.
ScoreStageResult score_stage(const ScoreStageOptions& options, const ProgressFn& progress,
                             dist::World& world);

/// A policy's file in a score folder; characters that file names cannot hold become '_'.
std::filesystem::path score_file(const std::filesystem::path& folder, const std::string& policy);

}  // namespace charm::score
