#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "charm/base/progress.h"
#include "charm/engine/model_source.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::engine {
struct DecoderConfig;
}
namespace charm::storage {
class Manifest;
}

namespace charm::train {

/// Dtype of the forward and backward pass (mixed precision). Master weights, gradients and
/// optimiser state are always float32.
enum class ComputeDType {
  kAuto,  ///< bfloat16 where the hardware supports it natively (AVX512-BF16, AMX, CUDA), float32
          ///< otherwise
  kFloat32,
  kBFloat16,
};

/// Dtype of the saved weights.
enum class SaveDType {
  kFloat32,   ///< keeps every update; scores in transformers equal ours
  kBFloat16,  ///< half the size; rounds small updates away
  kSource,    ///< of each tensor as the source folder has it
};

/// Unit of the shuffle.
enum class Shuffle {
  kPairs,    ///< single pairs: most prompts per step
  kPrompts,  ///< all pairs of a prompt: a response is computed once for all its pairs
};

struct TrainOptions {
  std::filesystem::path
      model;  ///< Hugging Face folder of the reward model (or of the causal LM with `new_head`)
  std::filesystem::path preferences;  ///< pairs: chosen and rejected conversations
  std::filesystem::path
      output;  ///< Hugging Face folder to write; published when training has finished

  double learning_rate =
      2e-6;  ///< peak; 2e-6 to fine-tune a trained RM, 1e-5 .. 1e-4 for a new head
  double weight_decay = 0.001;  ///< AdamW's; not applied to norms and biases
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_eps = 1e-8;
  double warmup_fraction = 0.03;  ///< share of the steps for linear warm-up; then cosine decay to 0
  double clip_norm = 1.0;         ///< maximum global gradient norm; 0 disables clipping
  double epochs = 1.0;            ///< may be fractional
  std::int64_t pairs_per_step = 0;  ///< batch size: pairs per optimiser step; fewer give more and
                                    ///< noisier steps; 0: a 64th of the training pairs, 1 to 64
  std::int64_t max_steps = 0;       ///< ends after this many steps; 0: as `epochs` says
  std::int64_t max_tokens = 4096;   ///< longer conversations are truncated from the left
  std::int64_t budget_tokens = 0;   ///< tokens per forward/backward pass (gradient accumulation);
                                    ///< bounds memory; 0: the back end's own
  double centering =
      0.0;  ///< coefficient of mean((r_chosen + r_rejected)^2); 0.01 is usual in TRL; 0 disables it
  bool use_margin =
      false;  ///< loss -log sigmoid(r_chosen - r_rejected - margin) with the pairs' margin column
  bool soft_labels = false;  ///< soft label sigmoid(margin column): score differences are fitted to
                             ///< the margins; not with `use_margin`
  Shuffle shuffle = Shuffle::kPairs;  ///< kPrompts for many pairs per prompt (`prefer --pairs all`)

  std::optional<std::filesystem::path>
      eval_preferences;  ///< held-out pairs; otherwise `eval_fraction` of the prompts is held out
  double eval_fraction = 0.05;  ///< share of prompts held out; 0 disables evaluation
  std::int64_t eval_every = 0;  ///< steps between evaluations; 0: a quarter of the run
  std::int64_t max_eval_pairs =
      0;  ///< evaluates on this many pairs at most (the first by hash); 0: all

  bool new_head = false;                ///< adds a randomly initialised reward head to a causal LM
  engine::ModelSourceOptions source{};  ///< which adapter is merged before training
  std::optional<std::int64_t> layers;   ///< truncates the model to its first N layers
  bool train_embeddings = true;         ///< false freezes the token embeddings
  std::int64_t freeze_layers =
      0;  ///< freezes the embeddings and first N layers; saves their backward pass

  /// Memory for stored activations, GiB. Blocks that do not fit are recomputed in backward
  /// (activation checkpointing), at up to a third more time; 0 recomputes all. The result is the
  /// same.
  double activation_gib = 2.0;

  ComputeDType dtype = ComputeDType::kAuto;
  SaveDType save_dtype = SaveDType::kFloat32;
  std::string device = "auto";  ///< "auto", "cpu" or "cuda"
  std::optional<std::filesystem::path>
      template_file;  ///< overrides the model's chat template; saved with the result
  std::string template_date = "2024-07-26";  ///< ISO date of strftime_now in templates
  std::string template_kwargs;   ///< JSON object of further variables for the template; empty: none
  bool bos_as_template = false;  ///< template and tokenizer add BOS independently

  std::uint64_t seed = 0;  ///< shuffle, held-out prompts, new head
  std::int64_t checkpoint_every =
      0;  ///< steps between checkpoints, from which a killed run resumes; 0: every five minutes
  std::int64_t max_bad_rows = 0;     ///< unusable rows that are skipped before the command fails
  std::optional<std::string> split;  ///< of `preferences`, where it is a data set with several
  storage::ColumnNames columns;      ///< of `preferences`; the prompt's alone matters
  int threads = 0;                   ///< 0: all processors of this process
  bool fresh = false;                ///< discards an unfinished run and an earlier output
  bool replace_other =
      false;  ///< replaces an output of other options or inputs; otherwise an error
  std::int64_t stop_after_steps =
      0;  ///< stops after a checkpoint at this step, unfinished; 0: never
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, TrainOptions& options);

/// All options of `charm train`.
void describe_command(OptionTable& table, TrainOptions& options);

struct EvalSummary {
  std::int64_t num_pairs = 0;
  double accuracy = 0.0;  ///< share of pairs with r_chosen > r_rejected, in [0, 1]
  double loss = 0.0;      ///< mean -log sigmoid(r_chosen - r_rejected)
  double margin = 0.0;    ///< mean r_chosen - r_rejected, score units
};

struct TrainResult {
  bool finished = true;  ///< false after `stop_after_steps`
  std::int64_t num_steps = 0;
  std::int64_t num_train_pairs = 0;
  std::int64_t pairs_per_step = 0;
  std::int64_t num_tokens = 0;  ///< tokens of this process's training steps
  double tokens_per_s = 0.0;    ///< of this process's training steps
  std::optional<EvalSummary> eval_before;
  std::optional<EvalSummary> eval_after;
  std::optional<double> final_train_loss;  ///< mean over the last tenth of the steps
};

/// Reads the model and the pairs, trains, and writes a Hugging Face folder with `metrics.jsonl` and
/// `manifest.json`. Resumes an unfinished run of the same options and inputs from its last
/// checkpoint (`<output>.partial/`), with bit-identical results on CPU. Throws kInput, and writes
/// nothing, when training changed no saved weight.
TrainResult train(const TrainOptions& options, const ProgressFn& progress);

/// Throws kUsage naming the option when a value is out of range.
void check_options(const TrainOptions& options);

/// Throws kUsage or kInput for options that do not suit the model: a head that is missing, that
/// --new-head would replace or that cannot be trained, and more layers than it has.
void check_model(const TrainOptions& options, const engine::DecoderConfig& config,
                 const engine::ModelSource& source);

/// Manifest of the options that affect the result and the inputs with their hashes. `dtype` and
/// `device` are the resolved ones.
storage::Manifest make_manifest(const TrainOptions& options, std::string_view dtype,
                                std::string_view device);

}  // namespace charm::train
