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
#include "charm/train/split.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// Learning-rate schedule: linear warm-up, then cosine decay to 0. Above 0 in every step.
struct Schedule {
  double peak = 0.0;
  std::int64_t num_steps = 0;
  std::int64_t warmup_steps = 0;

  /// Learning rate of step `step` (0-based):
  ///
  ///     peak (step + 1) / (warmup_steps + 1)                                       in the warm-up
  ///     peak (1 + cos(pi (step - warmup_steps) / (num_steps - warmup_steps))) / 2  after it
  ///
  /// This is transformers 5.17 get_cosine_schedule_with_warmup for warmup_steps + 1 and
  /// num_steps + 1, without its step 0, whose learning rate is 0 (decision 0060).
  double rate_at(std::int64_t step) const;
};

/// Warm-up steps are `warmup_fraction` of the steps, rounded up as in transformers' Trainer.
Schedule make_schedule(double peak, std::int64_t num_steps, double warmup_fraction);

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
/// @param budget_tokens  0: the model's own
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
          std::string run);

  /// Runs to the end, or to `options.stop_after_steps`. Resumes from the work folder's checkpoint,
  /// which is one of the same run (`TrainProgress::run`).
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
  std::string run_;
  std::int64_t pairs_per_step_;
  std::int64_t num_steps_;
  Schedule schedule_;
  std::chrono::steady_clock::time_point last_checkpoint_;
};

}  // namespace charm::train
