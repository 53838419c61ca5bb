#include "charm/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/interrupt.h"
#include "charm/train/train_checkpoint.h"

namespace charm::train {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kCheckpointInterval{5};

constexpr std::int64_t kStepsPerEpoch = 64;     // at least, if there are as many pairs
constexpr std::int64_t kMostPairsPerStep = 64;  // reached at 4096 pairs

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Training pairs of a run of `max_steps` or `epochs`, repeats counted.
std::int64_t count_seen(const TrainOptions& options, std::int64_t num_pairs) {
  const auto seen =
      static_cast<std::int64_t>(std::llround(options.epochs * static_cast<double>(num_pairs)));
  if (options.max_steps == 0) return seen;
  return std::min(seen, options.max_steps * pairs_per_step(options, num_pairs));
}

PairLoss pair_loss_of(const TrainOptions& options) {
  if (options.soft_labels) return PairLoss::kSoftLabels;
  return options.use_margin ? PairLoss::kMargin : PairLoss::kBradleyTerry;
}

std::optional<double> mean_of_last_tenth(const std::vector<double>& losses) {
  if (losses.empty()) return std::nullopt;
  const std::size_t count = (losses.size() + 9) / 10;
  return std::accumulate(losses.end() - static_cast<std::ptrdiff_t>(count), losses.end(), 0.0) /
         static_cast<double>(count);
}

/// Pairs as batches that the model computes at once.
std::vector<PairBatch> batches_of(const engine::TrainableModel& model,
                                  std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens) {
  constexpr std::int64_t kPromptTokens = 16384;  // whatever the model's own budget
  if (budget_tokens > 0) return pack_pairs(pairs, order, budget_tokens);
  return pack_pairs(pairs, order, model.budget_tokens(), kPromptTokens);
}

}  // namespace

std::int64_t pairs_per_step(const TrainOptions& options, std::int64_t num_pairs) {
  if (options.pairs_per_step > 0) return options.pairs_per_step;
  return std::clamp<std::int64_t>(num_pairs / kStepsPerEpoch, 1, kMostPairsPerStep);
}

std::int64_t count_steps(const TrainOptions& options, std::int64_t num_pairs) {
  const std::int64_t per_step = pairs_per_step(options, num_pairs);
  return (count_seen(options, num_pairs) + per_step - 1) / per_step;
}

EvalSummary evaluate_pairs(engine::TrainableModel& model, std::span<const EncodedPair> pairs,
                           std::int64_t budget_tokens) {
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  PairCounts counts;
  for (const PairBatch& batch : batches_of(model, pairs, order, budget_tokens)) {
    counts.add(model.scores(batch.packed), batch.pairs);
  }
  const auto n = static_cast<double>(counts.num_pairs);
  return {counts.num_pairs, static_cast<double>(counts.num_right) / n, counts.sum_loss / n,
          counts.sum_margin / n};
}

Trainer::Trainer(engine::TrainableModel& model, std::span<const EncodedPair> train_pairs,
                 std::span<const EncodedPair> eval_pairs, const TrainOptions& options,
                 WorkFolder work, std::string run)
    : model_(model),
      train_pairs_(train_pairs),
      eval_pairs_(eval_pairs),
      options_(options),
      sampler_(shuffled_units(train_pairs, options.shuffle), options.seed),
      work_(std::move(work)),
      run_(std::move(run)),
      pairs_per_step_(pairs_per_step(options, static_cast<std::int64_t>(train_pairs.size()))),
      num_steps_(count_steps(options, static_cast<std::int64_t>(train_pairs.size()))),
      schedule_(make_schedule(options.learning_rate, num_steps_, options.warmup_fraction)),
      last_checkpoint_(Clock::now()) {}

StepMetrics Trainer::take_step(std::int64_t step) {
  const std::int64_t seen = count_seen(options_, static_cast<std::int64_t>(train_pairs_.size()));
  const std::int64_t begin = step * pairs_per_step_;
  const std::int64_t end = std::min(begin + pairs_per_step_, seen);
  const std::vector<std::size_t> order = sampler_.take(begin, end);
  const auto num_pairs = static_cast<double>(order.size());

  model_.zero_gradients();
  StepMetrics metrics;
  PairCounts counts;
  for (const PairBatch& batch : batches_of(model_, train_pairs_, order, options_.budget_tokens)) {
    const auto loss = [&](std::span<const float> scores) {
      return pair_loss(scores, batch.pairs, pair_loss_of(options_), options_.centering,
                       1.0 / num_pairs);
    };
    const engine::BatchResult result = model_.accumulate_gradients(batch.packed, loss);
    metrics.loss += result.loss;
    metrics.num_tokens += batch.packed.num_tokens();
    counts.add(result.scores_S, batch.pairs);
  }
  metrics.grad_norm = model_.clip_gradients(options_.clip_norm);
  if (!std::isfinite(metrics.loss) || !std::isfinite(metrics.grad_norm)) {
    throw Error(ErrorKind::kInput,
                "step {}: loss {} and gradient norm {}, expected finite numbers; a lower "
                "--learning-rate or --dtype float32 may help",
                step + 1, metrics.loss, metrics.grad_norm);
  }
  metrics.learning_rate = schedule_.rate_at(step);
  model_.step(metrics.learning_rate);

  metrics.step = step + 1;
  metrics.num_pairs = counts.num_pairs;
  metrics.accuracy = static_cast<double>(counts.num_right) / num_pairs;
  metrics.margin = counts.sum_margin / num_pairs;
  return metrics;
}

void Trainer::evaluate(std::string_view when, std::int64_t step, MetricsLog& metrics,
                       const ProgressFn& progress) {
  if (eval_pairs_.empty()) return;
  const EvalSummary summary = evaluate_pairs(model_, eval_pairs_, options_.budget_tokens);
  metrics.add(when, step, summary);
  if (progress) {
    progress(
        {"training", step, num_steps_, "steps",
         fmt::format("held-out accuracy {:.3f}, loss {:.4f}", summary.accuracy, summary.loss)});
  }
}

void Trainer::save(std::int64_t step, const MetricsLog& metrics) {
  write_checkpoint(work_.checkpoint(), model_, {run_, step, metrics.num_bytes()});
  last_checkpoint_ = Clock::now();
}

bool Trainer::checkpoint_is_due(std::int64_t step) const {
  if (step == options_.stop_after_steps) return true;
  return options_.checkpoint_every > 0 ? step % options_.checkpoint_every == 0
                                       : Clock::now() - last_checkpoint_ >= kCheckpointInterval;
}

TrainResult Trainer::run(const ProgressFn& progress) {
  const std::optional<TrainProgress> earlier = read_checkpoint_progress(work_.checkpoint());
  if (earlier) restore_checkpoint(work_.checkpoint(), model_);
  MetricsLog metrics(work_.metrics(), earlier ? earlier->metrics_bytes : 0);
  std::int64_t step = earlier ? earlier->step : 0;
  if (step == 0) evaluate("before", 0, metrics, progress);

  const std::int64_t eval_every =
      options_.eval_every > 0 ? options_.eval_every : std::max<std::int64_t>(1, num_steps_ / 4);
  const Interruptible interrupts(Interruptible::When::kAtCheckpoint,
                                 "a checkpoint is written; run the same command again to continue");
  TrainResult result;
  double step_seconds = 0.0;
  while (step < num_steps_) {
    const Clock::time_point start = Clock::now();
    const StepMetrics taken = take_step(step++);
    step_seconds += seconds_since(start);
    metrics.add(taken);
    result.num_tokens += taken.num_tokens;
    result.tokens_per_s = static_cast<double>(result.num_tokens) / step_seconds;
    if (progress) {
      progress({"training", step, num_steps_, "steps",
                fmt::format("loss {:.4f}, accuracy {:.3f}, {:.0f} tokens/s", taken.loss,
                            taken.accuracy, result.tokens_per_s)});
    }
    if (step == num_steps_) break;
    if (step % eval_every == 0) evaluate("during", step, metrics, progress);
    if (checkpoint_is_due(step) || interrupts.requested()) save(step, metrics);
    if (interrupts.requested()) interrupts.end();
    if (step == options_.stop_after_steps) {
      result.finished = false;
      break;
    }
  }
  if (result.finished) evaluate("after", num_steps_, metrics, progress);

  const MetricsSummary summary = read_metrics(work_.metrics());
  if (std::ssize(summary.step_losses) != step) {
    throw Error(ErrorKind::kIo,
                "{}: holds {} steps of the {} taken: something else changed it during the training",
                work_.metrics().string(), summary.step_losses.size(), step);
  }
  result.num_steps = step;
  result.num_train_pairs = static_cast<std::int64_t>(train_pairs_.size());
  result.pairs_per_step = pairs_per_step_;
  result.eval_before = summary.eval_before;
  result.eval_after = summary.eval_after;
  result.final_train_loss = mean_of_last_tenth(summary.step_losses);
  return result;
}

double Schedule::rate_at(std::int64_t step) const {
  if (step < warmup_steps)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps + 1);
  const std::int64_t decay_steps = std::max<std::int64_t>(1, num_steps - warmup_steps);
  const double progress =
      static_cast<double>(step - warmup_steps) / static_cast<double>(decay_steps);
  return peak * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

Schedule make_schedule(double peak, std::int64_t num_steps, double warmup_fraction) {
  return {peak, num_steps,
          static_cast<std::int64_t>(std::ceil(warmup_fraction * static_cast<double>(num_steps)))};
}

}  // namespace charm::train
