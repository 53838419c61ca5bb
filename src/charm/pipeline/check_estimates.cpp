#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>

#include "charm/base/parallel.h"
#include "charm/engine/trainable_model.h"
#include "charm/engine/training_block.h"
#include "charm/kernels/gemm.h"
#include "charm/kernels/thread_pool.h"
#include "charm/pipeline/check.h"
#include "charm/pipeline/inspect.h"
#include "charm/train/train_stage.h"

namespace charm::pipeline {
namespace {

constexpr double kBytesPerGiB = 1024.0 * 1024.0 * 1024.0;

/// Resident memory of a process that holds no weights yet: libraries, tokenizer, rows.
constexpr double kScoringBaseBytes = 0.2 * kBytesPerGiB, kTrainingBaseBytes = 0.4 * kBytesPerGiB;

/// A forward pass reaches about this share of a matrix product's speed: norms, attention and the
/// reading of rows take the rest. Measured: 0.7 to 0.95 (docs/performance.md, "The estimate of
/// charm check").
constexpr double kForwardShare = 0.8;

/// A training step as a multiple of its forward pass: both products of the backward pass,
/// recomputed blocks, and what is no product. Measured by bench/training_passes.py (there, too).
constexpr double kTrainingPasses = 3.5;

/// Weights that each token is multiplied with: all but the embedding.
double computed_weights(const engine::DecoderConfig& config) {
  return static_cast<double>(count_parameters(config) - config.vocab_size * config.hidden_size);
}

template <typename Element>
double measure_gemm(std::int64_t inputs, std::int64_t outputs) {
  constexpr std::int64_t kRows = 384;
  const auto elements = [](std::int64_t count) {
    return std::vector<Element>(static_cast<std::size_t>(count), Element{});
  };
  const std::vector<Element> x = elements(kRows * inputs), weight = elements(outputs * inputs);
  std::vector<Element> out = elements(kRows * outputs);
  const auto packed = kernels::PackedWeight::pack<Element>(weight.data(), nullptr, outputs, inputs);
  const kernels::GemmOutput<Element> layer{
      .weight = &packed, .out = out.data(), .row_stride = outputs};
  const auto run = [&] { kernels::gemm<Element>(x.data(), inputs, kRows, std::span(&layer, 1)); };
  run();  // wakes the workers
  using Clock = std::chrono::steady_clock;
  const auto seconds_of = [](Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
  };
  // The fastest of several: one that another process interrupts says nothing about the machine.
  double fastest_s = std::numeric_limits<double>::max();
  const auto start = Clock::now();
  while (seconds_of(Clock::now() - start) < 0.1) {
    const auto begin = Clock::now();
    run();
    fastest_s = std::min(fastest_s, seconds_of(Clock::now() - begin));
  }
  return 2.0 * static_cast<double>(kRows * inputs * outputs) / fastest_s;
}

/// Pairs of a prompt that `policies` policies answer.
double pairs_per_prompt(prefer::Pairs pairs, double policies) {
  switch (pairs) {
    case prefer::Pairs::kBestWorst:
      return 1.0;
    case prefer::Pairs::kVsReference:
      return policies - 1.0;
    case prefer::Pairs::kAll:
      return policies * (policies - 1.0) / 2.0;
  }
  return 1.0;
}

/// Responses that an epoch computes for each prompt: two of every pair, or each policy's once where
/// the pairs of a prompt share a batch.
double responses_per_prompt(const RecipeCalibration& calibration) {
  const auto policies = static_cast<double>(calibration.options.policies.size());
  const prefer::Pairs pairs =
      calibration.preferences.pairing.best_of_n
          ? prefer::Pairs::kBestWorst
          : calibration.preferences.pairing.pairs.value_or(prefer::Pairs::kAll);
  if (pairs != prefer::Pairs::kBestWorst &&
      calibration.training.shuffle == train::Shuffle::kPrompts)
    return policies;
  return 2.0 * pairs_per_prompt(pairs, policies);
}

/// The memory limit of this process's control group (version 2); none: the largest number.
double group_limit_bytes() {
  std::ifstream file("/sys/fs/cgroup/memory.max");
  double bytes = 0.0;
  return file >> bytes ? bytes : std::numeric_limits<double>::max();
}

double physical_bytes() {
  std::ifstream file("/proc/meminfo");
  double kib = 0.0;
  std::string word;
  file >> word >> kib;  // "MemTotal: 16316412 kB"
  return kib * 1024.0;
}

/// What a block keeps of a token while it computes: the residual stream, norms, projections and the
/// gated MLP.
double block_bytes_per_token(const engine::DecoderConfig& config, double element_bytes) {
  const auto width = static_cast<double>(config.hidden_size);
  const auto heads =
      static_cast<double>((config.num_heads + 2 * config.num_kv_heads) * config.head_dim);
  const auto mlp = static_cast<double>(engine::mlp_values_per_token(config));
  return 4.0 * 2.0 * width + element_bytes * (3.0 * width + 2.0 * heads + 3.0 * mlp);
}

double scoring_bytes(const Recipe& recipe, const engine::DecoderConfig& config, bool bfloat16) {
  constexpr double kBudgetTokens = 4096.0;  // where the recipe leaves it to charm
  const auto given = static_cast<double>(recipe.reward_model.score.scorer.budget_tokens);
  const double element = bfloat16 ? 2.0 : 4.0;
  return element * static_cast<double>(count_parameters(config)) + kScoringBaseBytes +
         (given > 0.0 ? given : kBudgetTokens) * block_bytes_per_token(config, element);
}

/// Float32 weights, gradients and Adam's two moments of what is trained, packed copies for the
/// forward and the backward pass, and the activations that a batch keeps for the backward pass,
/// which --activation-gib bounds.
double training_bytes(const train::TrainOptions& options, engine::DecoderConfig config) {
  const auto layers = static_cast<double>(config.num_layers);
  if (options.layers) config.num_layers = std::min(config.num_layers, *options.layers);
  const double weights = static_cast<double>(count_parameters(config));
  const double trained = weights * (1.0 - static_cast<double>(options.freeze_layers) / layers);
  const std::int64_t tokens =
      options.budget_tokens > 0 ? options.budget_tokens : engine::kCpuTrainingTokens;
  const engine::ActivationBytes kept = engine::activation_bytes(config, tokens, sizeof(float));
  const double block = kept.input + kept.attention + kept.mlp;
  const double blocks = options.activation_gib == 0.0
                            ? layers * kept.input
                            : std::min(options.activation_gib * kBytesPerGiB, layers * block);
  return 8.0 * weights + 16.0 * std::max(trained, 0.0) + kTrainingBaseBytes + block + blocks;
}

double existing_bytes(const fs::path& folder) {
  std::error_code error;
  double bytes = 0.0;
  for (fs::recursive_directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    if (next->is_regular_file(error)) bytes += static_cast<double>(next->file_size(error));
  }
  return bytes;
}

/// The nearest folder above that exists.
fs::path existing_parent(fs::path path) {
  std::error_code error;
  path = fs::absolute(path, error);
  while (!fs::exists(path, error) && path.has_parent_path() && path != path.parent_path())
    path = path.parent_path();
  return path;
}

std::int64_t bytes_of(double bytes) {
  constexpr double kMost = 9e18;
  return static_cast<std::int64_t>(std::min(bytes, kMost));
}

}  // namespace

double measure_flops(const engine::DecoderConfig& config, bool bfloat16, int threads) {
  kernels::set_num_threads(threads > 0 ? threads : static_cast<int>(available_processors()));
  // A larger layer is not faster, but takes longer to pack.
  constexpr std::int64_t kMostInputs = 2048, kMostOutputs = 4096;
  const std::int64_t inputs = std::min(config.hidden_size, kMostInputs),
                     outputs = std::min(config.intermediate_size, kMostOutputs);
  return bfloat16 ? measure_gemm<kernels::BFloat16>(inputs, outputs)
                  : measure_gemm<float>(inputs, outputs);
}

TimeEstimate estimate_time(const Recipe& recipe, const RunSize& size,
                           const engine::DecoderConfig& config, double flops) {
  const double token_s = 2.0 * computed_weights(config) / (flops * kForwardShare);
  TimeEstimate time;
  time.score_s = size.score_tokens * token_s;
  if (recipe.trains) {
    const double measured = recipe.holdout > 0.0 ? recipe.holdout : 1.0;
    for (const RecipeCalibration& calibration : recipe.calibrations) {
      time.train_s += static_cast<double>(size.num_fit) * responses_per_prompt(calibration) *
                      size.response_tokens * token_s * kTrainingPasses *
                      calibration.training.epochs;
      time.rescore_s += measured * size.score_tokens * token_s;
    }
  }
  const double models =
      1.0 + (recipe.trains ? static_cast<double>(recipe.calibrations.size()) : 0.0);
  time.evaluate_s = size.benchmark_tokens * token_s * models;
  return time;
}

Resource estimate_memory(const Recipe& recipe, const engine::DecoderConfig& config, bool bfloat16) {
  double needed = scoring_bytes(recipe, config, bfloat16);
  if (recipe.trains) {
    for (const RecipeCalibration& calibration : recipe.calibrations)
      needed = std::max(needed, training_bytes(calibration.training, config));
  }
  return {.needed_bytes = bytes_of(needed),
          .available_bytes = bytes_of(std::min(physical_bytes(), group_limit_bytes()))};
}

Resource estimate_disk(const Recipe& recipe, const RunSize& size,
                       const engine::DecoderConfig& config) {
  constexpr double kCompressed = 0.5;  // of texts in Parquet
  const double sets = static_cast<double>(recipe.calibrations.size());
  // Responses, scores and their split; pairs and scores after training of each set.
  double needed = kCompressed * size.text_bytes * (3.0 + sets * (1.0 + recipe.holdout));
  if (recipe.trains) {
    const double weights = static_cast<double>(count_parameters(config));
    // A finished model in float32, and a checkpoint with the optimiser's state while one trains.
    needed += weights * (4.0 * sets + 12.0);
  }
  std::error_code error;
  const fs::space_info space = fs::space(existing_parent(recipe.run_dir), error);
  needed = std::max(0.0, needed - existing_bytes(recipe.run_dir));
  return {.needed_bytes = bytes_of(needed),
          .available_bytes = error ? std::numeric_limits<std::int64_t>::max()
                                   : bytes_of(static_cast<double>(space.available))};
}

}  // namespace charm::pipeline
