#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "charm/base/progress.h"

namespace charm::train {

/// Element type of the forward and backward pass. Master weights, gradients and the optimiser are
/// float32 in every case.
enum class ComputeDType {
  kAuto,  ///< bfloat16 where the machine has native bf16 (AVX512-BF16, AMX, CUDA), float32
          ///< otherwise
  kFloat32,
  kBFloat16,
};

/// Element type of the saved weights.
enum class SaveDType {
  kFloat32,   ///< keeps every update; scores in transformers equal ours
  kBFloat16,  ///< half the size; rounds small updates away
  kSource,    ///< as the source folder's config.json says
};

/// What stays together when the order of the pairs is drawn.
enum class Shuffle {
  kPairs,    ///< nothing: every step sees as many prompts as it can
  kPrompts,  ///< the pairs of a prompt, whose responses then go through the model once for all of
             ///< them
};

struct TrainOptions {
  std::filesystem::path
      model;  ///< Hugging Face folder of the reward model (or of the causal LM with `new_head`)
  std::filesystem::path preferences;  ///< pairs: chosen and rejected conversations
  std::filesystem::path output;  ///< Hugging Face folder to write; appears when training has ended

  double learning_rate =
      2e-6;  ///< peak; 2e-6 adjusts a trained RM, a fresh head wants 1e-5 .. 1e-4
  double weight_decay = 0.001;  ///< AdamW's; not applied to norms and biases
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_eps = 1e-8;
  double warmup_fraction =
      0.03;                ///< share of the steps in which the rate rises from 0; then cosine to 0
  double clip_norm = 1.0;  ///< largest global gradient norm; 0 turns clipping off
  double epochs = 1.0;     ///< passes over the training pairs; fractions are fine
  std::int64_t pairs_per_step =
      64;                          ///< pairs per optimiser step; fewer give more and noisier steps
  std::int64_t max_steps = 0;      ///< ends after this many steps; 0: as `epochs` says
  std::int64_t max_tokens = 4096;  ///< longer conversations lose their first tokens
  std::int64_t budget_tokens = 4096;  ///< tokens per forward/backward pass; bounds memory, does not
                                      ///< change the result's meaning
  double centering =
      0.0;  ///< coefficient of mean((r_chosen + r_rejected)^2); TRL users take 0.01; 0 turns it off
  bool use_margin =
      false;  ///< loss -log sigmoid(r_chosen - r_rejected - margin) with the pairs' margin column
  bool soft_labels = false;  ///< the chosen side wins with probability sigmoid(margin column), so
                             ///< that score differences become the margins; not with `use_margin`
  Shuffle shuffle =
      Shuffle::kPairs;  ///< kPrompts where prompts have many pairs (`prefer --pairs all`)

  std::optional<std::filesystem::path>
      eval_preferences;         ///< held-out pairs; otherwise a share of the prompts is held out
  double eval_fraction = 0.05;  ///< share of prompts held out; 0 turns evaluation off
  std::int64_t eval_every = 0;  ///< steps between evaluations; 0: a quarter of the run
  std::int64_t max_eval_pairs =
      0;  ///< evaluates on this many pairs at most (the first by hash); 0: all

  bool new_head = false;  ///< gives a causal LM a fresh reward head; the only way to get one
  std::optional<std::int64_t> layers;  ///< keeps only the first N layers of the model
  bool train_embeddings = true;        ///< false keeps the token embeddings as they are
  std::int64_t freeze_layers =
      0;  ///< keeps the embeddings and first N layers as they are; saves their backward pass

  /// Memory for activations between forward and backward pass, GiB. Blocks that do not fit are
  /// computed a second time on the way back, which costs up to a third more time; 0 does so for
  /// all. The result is the same.
  double activation_gib = 2.0;

  ComputeDType dtype = ComputeDType::kAuto;
  SaveDType save_dtype = SaveDType::kFloat32;
  std::string device = "auto";  ///< "auto", "cpu" or "cuda"
  std::optional<std::filesystem::path>
      template_file;  ///< chat template instead of the model's own; saved with the result
  std::string template_date = "2024-07-26";  ///< ISO date of the clock a template sees
  bool bos_as_template = false;              ///< template and tokenizer each write BOS as they like

  std::uint64_t seed = 0;  ///< order of the pairs, held-out prompts, fresh head
  std::int64_t checkpoint_every =
      0;  ///< steps between checkpoints, from which a killed run continues; 0: every five minutes
  std::int64_t max_bad_rows = 0;  ///< rows that may be unusable before the command ends
  int threads = 0;                ///< 0: all processors of this process
  bool fresh = false;             ///< drops an earlier unfinished run and an earlier output
  bool replace_other =
      false;  ///< an output of other options or inputs is replaced; otherwise it is an error
  std::int64_t stop_after_steps =
      0;  ///< ends this process after a checkpoint at this step, unfinished; 0: never
};

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
  std::int64_t num_tokens =
      0;  ///< tokens that went through the model in training steps of this process
  double tokens_per_s = 0.0;  ///< of this process's training steps
  std::optional<EvalSummary> eval_before;
  std::optional<EvalSummary> eval_after;
  double final_train_loss = 0.0;  ///< mean over the last tenth of the steps
};

/// Reads the model and the pairs, trains, and writes a Hugging Face folder with `metrics.jsonl` and
/// `manifest.json`. Continues an unfinished run of the same options and inputs from its last
/// checkpoint (`<output>.partial/`), ending in the same bytes on CPU.
TrainResult train(const TrainOptions& options, const ProgressFn& progress);

}  // namespace charm::train
