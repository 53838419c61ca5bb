#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/engine/trainable_model.h"
#include "charm/train/loss.h"
#include "charm/train/metrics_log.h"
#include "charm/train/pair_batch.h"
#include "charm/train/schedule.h"
#include "charm/train/split.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// Files of an unfinished run.
struct WorkFolder {
  std::filesystem::path path;
  std::filesystem::path checkpoint() const { return path / "checkpoint.safetensors"; }
  std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
};

/// Pairs per optimiser step of a run over `num_pairs` pairs: as the options say, or a 64th of the
/// pairs, 1 to 64, so that small sets too are trained in tens of steps (decision 0060).
std::int64_t pairs_per_step(const TrainOptions& options, std::int64_t num_pairs);

/// Optimiser steps of a run over `num_pairs` pairs.
std::int64_t count_steps(const TrainOptions& options, std::int64_t num_pairs);

/// Accuracy and loss over pairs, without gradients.
EvalSummary evaluate_pairs(engine::TrainableModel& model, std::span<const EncodedPair> pairs,
                           std::int64_t budget_tokens);

/// The training loop: sampling, batches, gradients, clipping, AdamW, evaluation, checkpoints. Its
/// state is the weights, the optimiser state and the step; everything else is a function of
/// options, pairs and step, so a resumed run equals an uninterrupted one. References model and
/// pairs. Not thread-safe.
class Trainer {
 public:
  Trainer(engine::TrainableModel& model, std::span<const EncodedPair> train_pairs,
          std::span<const EncodedPair> eval_pairs, const TrainOptions& options, WorkFolder work,
          std::string fingerprint);

  /// Runs to the end, or to `options.stop_after_steps`. Resumes from the work folder's checkpoint
  /// where its fingerprint matches.
  TrainResult run(const ProgressFn& progress);

 private:
  StepMetrics take_step(std::int64_t step);
  void evaluate(std::string_view when, std::int64_t step, MetricsLog& metrics,
                const ProgressFn& progress);
  void save(std::int64_t step, const MetricsLog& metrics);
  bool checkpoint_is_due(std::int64_t step) const;

  engine::TrainableModel& model_;
  std::span<const EncodedPair> train_pairs_;
  std::span<const EncodedPair> eval_pairs_;
  TrainOptions options_;
  PairSampler sampler_;
  WorkFolder work_;
  std::string fingerprint_;
  std::int64_t pairs_per_step_;
  std::int64_t num_steps_;
  Schedule schedule_;
  std::chrono::steady_clock::time_point last_checkpoint_;
};

}  // namespace charm::train
