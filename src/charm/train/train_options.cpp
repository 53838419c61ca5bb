#include "charm/train/train_options.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"

namespace charm::train {
namespace {

void require(bool fine, std::string_view option, double value, std::string_view expected) {
  if (!fine) throw Error(ErrorKind::kUsage, "--{} {}: expected {}", option, value, expected);
}

std::string_view save_dtype_name(SaveDType dtype) {
  switch (dtype) {
    case SaveDType::kFloat32:
      return "float32";
    case SaveDType::kBFloat16:
      return "bfloat16";
    case SaveDType::kSource:
      break;
  }
  return "source";
}

}  // namespace

void check_options(const TrainOptions& o) {
  const auto in_unit = [](double x) { return x >= 0.0 && x < 1.0; };
  require(o.learning_rate > 0.0 && std::isfinite(o.learning_rate), "learning-rate", o.learning_rate,
          "a number above 0");
  require(o.weight_decay >= 0.0 && std::isfinite(o.weight_decay), "weight-decay", o.weight_decay,
          "a number from 0 up");
  require(in_unit(o.adam_beta1), "adam-beta1", o.adam_beta1, "a number in [0, 1)");
  require(in_unit(o.adam_beta2), "adam-beta2", o.adam_beta2, "a number in [0, 1)");
  require(o.adam_eps > 0.0, "adam-eps", o.adam_eps, "a number above 0");
  require(in_unit(o.warmup_fraction), "warmup-fraction", o.warmup_fraction, "a number in [0, 1)");
  require(o.clip_norm >= 0.0, "clip-norm", o.clip_norm, "a number from 0 up");
  require(o.epochs > 0.0 && std::isfinite(o.epochs), "epochs", o.epochs, "a number above 0");
  require(o.pairs_per_step >= 0, "pairs-per-step", static_cast<double>(o.pairs_per_step),
          "0 or more");
  require(o.max_steps >= 0, "max-steps", static_cast<double>(o.max_steps), "0 or more");
  require(o.max_tokens > 0, "max-tokens", static_cast<double>(o.max_tokens), "at least 1");
  require(o.budget_tokens > 0, "budget-tokens", static_cast<double>(o.budget_tokens), "at least 1");
  require(o.centering >= 0.0 && std::isfinite(o.centering), "centering", o.centering,
          "a number from 0 up");
  if (o.use_margin && o.soft_labels) {
    throw Error(ErrorKind::kUsage,
                "--use-margin and --soft-labels give the margin column two meanings; keep one");
  }
  require(in_unit(o.eval_fraction), "eval-fraction", o.eval_fraction, "a number in [0, 1)");
  require(o.eval_every >= 0, "eval-every", static_cast<double>(o.eval_every), "0 or more");
  require(o.max_eval_pairs >= 0, "max-eval-pairs", static_cast<double>(o.max_eval_pairs),
          "0 or more");
  require(o.activation_gib >= 0.0, "activation-gib", o.activation_gib, "a number from 0 up");
  require(o.checkpoint_every >= 0, "checkpoint-every", static_cast<double>(o.checkpoint_every),
          "0 or more");
  if (o.device != "auto" && o.device != "cpu" && o.device != "cuda") {
    throw Error(ErrorKind::kUsage, "--device {}: expected auto, cpu or cuda", o.device);
  }
}

storage::Manifest make_manifest(const TrainOptions& o, std::string_view dtype,
                                std::string_view device) {
  storage::Manifest manifest("train");
  manifest.option("learning-rate", o.learning_rate)
      .option("weight-decay", o.weight_decay)
      .option("adam-beta1", o.adam_beta1)
      .option("adam-beta2", o.adam_beta2)
      .option("adam-eps", o.adam_eps)
      .option("warmup-fraction", o.warmup_fraction)
      .option("clip-norm", o.clip_norm)
      .option("epochs", o.epochs)
      .option("pairs-per-step", o.pairs_per_step)
      .option("max-steps", o.max_steps)
      .option("max-tokens", o.max_tokens)
      .option("budget-tokens", o.budget_tokens)
      .option("centering", o.centering)
      .option("use-margin", o.use_margin)
      .option("soft-labels", o.soft_labels)
      .option("shuffle", o.shuffle == Shuffle::kPrompts ? "prompts" : "pairs")
      .option("eval-fraction", o.eval_fraction)
      .option("eval-every", o.eval_every)
      .option("max-eval-pairs", o.max_eval_pairs)
      .option("new-head", o.new_head)
      .option("layers", o.layers ? nlohmann::ordered_json(*o.layers) : nlohmann::ordered_json())
      .option("train-embeddings", o.train_embeddings)
      .option("freeze-layers", o.freeze_layers)
      .option("activation-gib", o.activation_gib)
      .option("dtype", dtype)
      .option("save-dtype", save_dtype_name(o.save_dtype))
      .option("device", device)
      .option("template-date", o.template_date)
      .option("bos-as-template", o.bos_as_template)
      .option("max-bad-rows", o.max_bad_rows)
      .seed(o.seed)
      .input(o.model)
      .input(o.preferences);
  if (o.eval_preferences) manifest.input(*o.eval_preferences);
  if (o.template_file) manifest.input(*o.template_file);
  return manifest;
}

}  // namespace charm::train
