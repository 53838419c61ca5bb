#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/fs.h"
#include "charm/base/option_table.h"
#include "charm/engine/heads.h"
#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/storage/manifest.h"
#include "charm/text/conversation_encoder.h"
#include "charm/train/train_stage.h"

namespace charm::train {

void describe_settings(OptionTable& table, TrainOptions& options) {
  table
      .number("learning-rate", options.learning_rate, "X",
              "Peak learning rate. 2e-6 suits fine-tuning of a reward model; a new head needs 1e-5 "
              "to 1e-4, tiny models more.")
      .above(0)
      .number("epochs", options.epochs, "X", "Epochs over the training pairs; may be fractional.")
      .above(0)
      .integer("pairs-per-step", options.pairs_per_step, "N",
               "Batch size in pairs per optimiser step; smaller gives more and noisier steps. 0: a "
               "64th of the training pairs, at least 1 and at most 64, so that an epoch has 64 "
               "steps or more if there are 64 pairs; the manifest records it (pairs_per_step).")
      .at_least(0)
      .integer("max-steps", options.max_steps, "N",
               "Maximum number of optimiser steps; 0: given by --epochs.")
      .at_least(0)
      .number("weight-decay", options.weight_decay, "X",
              "AdamW's weight decay; not applied to norms and biases.")
      .at_least(0)
      .number("adam-beta1", options.adam_beta1, "X",
              "AdamW's beta1, the decay of the first moment.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .number("adam-beta2", options.adam_beta2, "X",
              "AdamW's beta2, the decay of the second moment.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .number("adam-eps", options.adam_eps, "X", "AdamW's epsilon.")
      .above(0)
      .number("warmup-fraction", options.warmup_fraction, "X",
              "Share of the steps, 0 to 1, of linear warm-up; then cosine decay to 0. No step has "
              "learning rate 0.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .number("clip-norm", options.clip_norm, "X",
              "Gradient clipping: maximum global norm. 0: off.")
      .at_least(0)
      .integer("max-tokens", options.max_tokens, "N",
               "Maximum conversation length in tokens; longer ones are truncated on the left. At "
               "most the model's positions.")
      .at_least(1)
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens per forward and backward pass (micro-batch). Bounds the memory; gradients "
               "are accumulated over a step. The pairs of a prompt stay together up to four times "
               "as many, and then gradients on a CPU do not depend on it. 0: 1024 on a CPU, 4096 "
               "on a GPU, and up to 16384 for a prompt.")
      .at_least(0)
      .number("centering", options.centering, "X",
              "Coefficient of the centering loss mean((r_chosen + r_rejected)^2), which keeps "
              "scores around 0. 0.01 is usual; 0: off.")
      .at_least(0)
      .flag("use-margin", options.use_margin,
            "Margin loss: -log sigmoid(r_chosen - r_rejected - margin), with the pairs' margin "
            "column.")
      .flag("soft-labels", options.soft_labels,
            "Soft labels: the target probability of the chosen response is sigmoid(margin column) "
            "instead of 1, so that the model learns the calibrated score differences. For pairs of "
            "charm prefer; not with --use-margin.")
      .choice(
          "shuffle", options.shuffle, {{"pairs", Shuffle::kPairs}, {"prompts", Shuffle::kPrompts}},
          "Unit of shuffling. prompts keeps the pairs of a prompt in one batch, so that each "
          "response is computed once for all its pairs: several times faster with prefer --pairs "
          "all or vs-reference (choose --pairs-per-step as a multiple of the pairs per prompt).")
      .path("eval-preferences", options.eval_preferences, "FILE",
            "Held-out pairs for evaluation (accuracy, loss); by default --eval-fraction of the "
            "prompts is held out.")
      .number("eval-fraction", options.eval_fraction, "X",
              "Share of the prompts, 0 to 1, held out for evaluation; 0: none.")
      .range({.lowest = 0.0, .highest = 1.0, .below_highest = true})
      .integer("eval-every", options.eval_every, "STEPS",
               "Steps between evaluations; 0: a quarter of the steps.")
      .at_least(0)
      .integer("max-eval-pairs", options.max_eval_pairs, "N",
               "Evaluate on at most this many held-out pairs; 0: all.")
      .at_least(0)
      .flag("new-head", options.new_head,
            "Add a new, randomly initialised reward head to a causal language model. Without it "
            "the model's own head is fine-tuned.")
      .integer("layers", options.layers, "N", "Keep only the first N layers of the model.")
      .at_least(1)
      .negative_flag("freeze-embeddings", options.train_embeddings, "Freeze the token embeddings.")
      .integer("freeze-layers", options.freeze_layers, "N",
               "Freeze the embeddings and the first N layers, which saves their backward pass.")
      .at_least(0)
      .choice("dtype", options.dtype,
              {{"auto", ComputeDType::kAuto},
               {"float32", ComputeDType::kFloat32},
               {"bfloat16", ComputeDType::kBFloat16}},
              "Element type of the forward and backward pass; master weights and optimiser are "
              "float32. auto: bfloat16 where the machine has it natively.")
      .choice("save-dtype", options.save_dtype,
              {{"float32", SaveDType::kFloat32},
               {"bfloat16", SaveDType::kBFloat16},
               {"source", SaveDType::kSource}},
              "Element type of the saved weights: float32 keeps every update; bfloat16 halves the "
              "size and rounds small updates away; source: each tensor as the input model has it.")
      .number("activation-gib", options.activation_gib, "GIB",
              "Memory for saved activations. Layers that do not fit are recomputed in the backward "
              "pass (gradient checkpointing), which costs up to a third more time; the result is "
              "the same. 0: recompute all.")
      .at_least(0)
      .text("device", options.device, "auto|cpu|cuda", "Where the model runs.");
  engine::describe_adapter(table, options.source);
  table
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; saved with the result.")
      .text("template-date", options.template_date, "YYYY-MM-DD",
            "Current date in chat templates.");
  text::describe_template_kwargs(table, options.template_kwargs);
  table
      .flag("bos-as-template", options.bos_as_template,
            "Let chat template and tokenizer each add a beginning-of-sequence token; by default "
            "there is exactly one.")
      .integer("seed", options.seed, "S", "Seed of shuffling, the held-out prompts and a new head.")
      .integer("checkpoint-every", options.checkpoint_every, "STEPS",
               "Steps between checkpoints, from which an interrupted run resumes; 0: every five "
               "minutes.")
      .at_least(0)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable pairs tolerated before the command fails.")
      .at_least(0);
}

void describe_command(OptionTable& table, TrainOptions& options) {
  table
      .path("model", options.model, "DIR",
            "Hugging Face folder of the reward model, or with --new-head of a causal language "
            "model.")
      .required()
      .path("preferences", options.preferences, "FILE",
            "Preference pairs: chosen and rejected conversations.")
      .required()
      .path("output", options.output, "DIR",
            "Hugging Face folder to write; it appears when training is finished.")
      .required()
      .text("split", options.split, "NAME",
            "Split to read of preferences that are a Hugging Face DatasetDict or a folder of "
            "shards; required if there are several.");
  storage::describe_prompt_column(table, options.columns);
  describe_settings(table, options);
  table
      .integer("stop-after-steps", options.stop_after_steps, "STEPS",
               "Stop at a checkpoint after this many steps; run the same command again to "
               "resume. 0: never. For machines with a time limit.")
      .at_least(0)
      .without_effect({"stop-after-steps", "checkpoint-every"});
}

void check_options(const TrainOptions& o) {
  constexpr double kMostEpochs = 1e6;  // keeps epochs x pairs far from overflow
  if (o.epochs > kMostEpochs)
    throw Error(ErrorKind::kUsage, "--epochs {}: expected at most {}", o.epochs, kMostEpochs);
  if (o.use_margin && o.soft_labels) {
    throw Error(ErrorKind::kUsage,
                "--use-margin and --soft-labels give the margin column two meanings; keep one");
  }
  if (o.device != "auto" && o.device != "cpu" && o.device != "cuda") {
    throw Error(ErrorKind::kUsage, "--device {}: expected auto, cpu or cuda", o.device);
  }
}

void check_model(const TrainOptions& options, const engine::DecoderConfig& config,
                 const engine::ModelSource& source) {
  const bool has_head = config.head != engine::HeadKind::kNone;
  const std::string folder =
      options.model.empty() ? source.folder.string() : options.model.string();
  engine::require_more_than_scores(
      config, "training", "train it elsewhere, and score, calibrate and evaluate the result here");
  if (!has_head && !options.new_head) engine::throw_no_reward_head(source, config);
  if (has_head && options.new_head) {
    throw Error(
        ErrorKind::kUsage,
        "--new-head: {} is a {} with a trained head, which it would replace; drop the option",
        folder, config.architecture);
  }
  if (has_head && !engine::head_of(config.head).trains) {
    throw Error(ErrorKind::kInput, "{}: the head of a {} can be scored, but not trained", folder,
                config.architecture);
  }
  const std::int64_t num_layers = options.layers.value_or(config.num_layers);
  if (num_layers < 1 || num_layers > config.num_layers) {
    throw Error(ErrorKind::kUsage, "--layers {}: {} has {} layers", num_layers, folder,
                config.num_layers);
  }
  if (options.freeze_layers < 0 || options.freeze_layers >= num_layers) {
    throw Error(ErrorKind::kUsage,
                "--freeze-layers {}: the model has {} layers, and at least one must be trained",
                options.freeze_layers, num_layers);
  }
}

storage::Manifest make_manifest(const TrainOptions& o, std::string_view dtype,
                                std::string_view device) {
  storage::Manifest manifest("train");
  manifest.options(o, describe_command)
      .option("dtype", dtype)
      .option("device", device)
      .option("train-embeddings", o.train_embeddings);
  for (const fs::path& folder : engine::resolve_model_source(o.model, o.source).folders())
    manifest.input(folder);
  manifest.input(o.preferences);
  if (o.eval_preferences) manifest.input(*o.eval_preferences);
  if (o.template_file) manifest.input(*o.template_file);
  return manifest;
}

}  // namespace charm::train
