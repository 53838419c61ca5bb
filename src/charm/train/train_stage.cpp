#include "charm/train/train_stage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/base/parallel.h"
#include "charm/engine/decoder.h"
#include "charm/engine/heads.h"
#include "charm/engine/plugin.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/rope.h"
#include "charm/engine/trainable_model.h"
#include "charm/engine/weight_names.h"
#include "charm/kernels/thread_pool.h"
#include "charm/records/preference_pair.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/text/conversation_encoder.h"
#include "charm/train/pair_dataset.h"
#include "charm/train/split.h"
#include "charm/train/train_checkpoint.h"
#include "charm/train/trainer.h"

namespace charm::train {
namespace {

using nlohmann::ordered_json;

struct StartingPoint {
  engine::DecoderConfig config;
  engine::DecoderWeights weights;
};

/// Loads the initial weights; --new-head adds a randomly initialised head to a causal LM.
StartingPoint load_start(const TrainOptions& options) {
  StartingPoint start;
  const engine::ModelSource source = engine::resolve_model_source(options.model, options.source);
  start.config = engine::load_model_config(source);
  check_model(options, start.config, source);
  const std::int64_t stored_layers = start.config.num_layers;
  if (options.layers) start.config.num_layers = *options.layers;
  start.weights = engine::load_weights(
      source, start.config, {.dtype = engine::DType::kFloat32, .stored_layers = stored_layers});
  if (options.new_head) {
    engine::add_random_head(start.weights, start.config, options.seed);
  }
  return start;
}

engine::SaveTypes save_types(const TrainOptions& options, const engine::DecoderConfig& config) {
  switch (options.save_dtype) {
    case SaveDType::kFloat32:
      return {.dtype = engine::DType::kFloat32};
    case SaveDType::kBFloat16:
      return {.dtype = engine::DType::kBFloat16};
    case SaveDType::kSource:
      break;
  }
  const engine::DType dtype = config.stored_dtype == "bfloat16"  ? engine::DType::kBFloat16
                              : config.stored_dtype == "float16" ? engine::DType::kFloat16
                                                                 : engine::DType::kFloat32;
  return engine::stored_types(engine::resolve_model_source(options.model, options.source), dtype);
}

struct Data {
  std::vector<EncodedPair> train;
  std::vector<EncodedPair> held_out;
  std::int64_t num_equal_texts = 0;  ///< pairs dropped because chosen and rejected are the same
};

Data read_data(const TrainOptions& options, const engine::DecoderConfig& config,
               const text::ConversationEncoder& encoder) {
  const EncodePairsOptions encode{
      .pad_token_id = config.pad_token_id,
      .vocab_size = config.vocab_size,
      .fixed_rope_up_to = engine::rope_frequencies(config).front().fixed_up_to,
      .needs_margin = options.use_margin || options.soft_labels,
      .max_bad_rows = options.max_bad_rows};
  Data data;
  const auto read = [&](const fs::path& path, EncodePairsOptions how,
                        const std::optional<std::string>& split) {
    std::vector<PreferencePair> pairs = storage::read_preferences(
        path, {.max_bad_rows = options.max_bad_rows, .split = split, .columns = options.columns});
    const auto num_equal = static_cast<std::int64_t>(std::erase_if(
        pairs, [](const PreferencePair& pair) { return pair.chosen == pair.rejected; }));
    data.num_equal_texts += num_equal;
    if (num_equal > 0) {
      log::warning("{}: dropped {} pairs whose chosen and rejected texts are equal", path.string(),
                   num_equal);
    }
    return encode_pairs(pairs, encoder, how, path.string());
  };
  std::vector<EncodedPair> pairs = read(options.preferences, encode, options.split);
  const double fraction = options.eval_preferences ? 0.0 : options.eval_fraction;
  std::set<std::string> held_out_prompts;
  if (options.eval_preferences) {
    EncodePairsOptions without_margin = encode;
    without_margin.needs_margin = false;
    data.held_out = read(*options.eval_preferences, without_margin, std::nullopt);
    for (const EncodedPair& pair : data.held_out) held_out_prompts.insert(pair.prompt_id);
  }
  const Split split = split_by_prompt(pairs, fraction, options.seed);
  for (const std::size_t i : split.held_out) data.held_out.push_back(pairs[i]);
  for (const std::size_t i : split.train) {
    if (!held_out_prompts.contains(pairs[i].prompt_id)) data.train.push_back(std::move(pairs[i]));
  }
  if (data.train.size() < split.train.size()) {
    log::warning("{}: {} of {} pairs belong to prompts of {} and are not trained on",
                 options.preferences.string(), split.train.size() - data.train.size(),
                 split.train.size(), options.eval_preferences->string());
  }
  if (data.train.empty())
    throw Error(ErrorKind::kInput, "{}: no pair is left to train on", options.preferences.string());
  const auto limit = static_cast<std::size_t>(options.max_eval_pairs);
  if (limit > 0 && data.held_out.size() > limit) data.held_out.resize(limit);
  return data;
}

/// Suggests --shuffle prompts where prompts have many pairs.
void hint_at_shared_responses(std::span<const EncodedPair> pairs, const TrainOptions& options) {
  if (options.shuffle == Shuffle::kPrompts) return;
  constexpr double kMany = 3.0;
  const auto num_prompts = static_cast<double>(shuffled_units(pairs, Shuffle::kPrompts).size());
  const double per_prompt = static_cast<double>(pairs.size()) / num_prompts;
  if (per_prompt < kMany) return;
  log::info(
      "{:.1f} pairs per prompt: --shuffle prompts computes a response once for all its pairs and "
      "is faster; set --pairs-per-step to the pairs of several prompts then",
      per_prompt);
}

/// Throws kUsage if the options leave no pair to train on; warns if they leave few steps.
void check_steps(const TrainOptions& options, std::int64_t num_pairs) {
  constexpr std::int64_t kFew = 10;
  const std::int64_t num_steps = count_steps(options, num_pairs);
  if (num_steps == 0) {
    throw Error(ErrorKind::kUsage, "--epochs {}: less than one of the {} training pairs of {}",
                options.epochs, num_pairs, options.preferences.string());
  }
  if (num_steps >= kFew) return;
  TrainOptions automatic = options;
  automatic.pairs_per_step = 0;
  const std::int64_t possible = count_steps(automatic, num_pairs);
  std::string advice = "raise --epochs";
  if (options.max_steps > 0 && num_steps == options.max_steps) {
    advice = "raise --max-steps";
  } else if (possible > num_steps) {
    advice = fmt::format("set --pairs-per-step {} ({} steps) or raise --epochs",
                         pairs_per_step(automatic, num_pairs), possible);
  }
  log::warning("{} optimiser step{} over {} training pairs can hardly change a model: {}",
               num_steps, num_steps == 1 ? "" : "s", num_pairs, advice);
}

/// Warns if training hardly changed the held-out pairs. Margins are logits: a change of 0.05 is one
/// of at most 0.0125 in the probability of a preference.
void warn_about_small_changes(const TrainOptions& options, const TrainResult& result) {
  constexpr double kSmallLoss = 0.01, kSmallMargin = 0.05;
  if (!result.eval_before || !result.eval_after) return;
  const EvalSummary& before = *result.eval_before;
  const EvalSummary& after = *result.eval_after;
  if (std::abs(after.loss - before.loss) >= kSmallLoss ||
      std::abs(after.margin - before.margin) >= kSmallMargin)
    return;
  log::warning(
      "training hardly changed the scores (held-out loss {:.4f} -> {:.4f}, margin {:+.4f} -> "
      "{:+.4f}): raise --learning-rate {}{} or --epochs",
      before.loss, after.loss, before.margin, after.margin, options.learning_rate,
      options.learning_rate < 1e-5
          ? " (models below a billion weights need 1e-5 to 1e-4, tiny ones 1e-3)"
          : "");
}

using NamedWeights = std::vector<std::pair<std::string, engine::Tensor>>;

/// Copies of final norm and head.
NamedWeights head_weights(engine::TrainableModel& model) {
  NamedWeights copies;
  for (const engine::WeightSlot& slot : engine::weight_slots(model.master(), model.config())) {
    const bool in_block = engine::layer_of_weight(slot.name, model.config()) >= 0;
    if (!in_block && slot.kind != engine::WeightShape::kEmbedding)
      copies.emplace_back(slot.name, slot.tensor->clone());
  }
  return copies;
}

bool differ_as(engine::DType dtype, const engine::Tensor& before, const engine::Tensor& after) {
  const engine::Tensor a = before.to(dtype), b = after.to(dtype);
  return std::memcmp(a.bytes(), b.bytes(), a.nbytes()) != 0;
}

/// Whether a weight of the trained model, as it will be saved, differs from the one it started as.
/// @param head_before  `head_weights` before training; the model is read again only if these are
///                     unchanged
bool changed_weights(const TrainOptions& options, engine::TrainableModel& model,
                     const NamedWeights& head_before) {
  const engine::SaveTypes types = save_types(options, model.config());
  const NamedWeights head = head_weights(model);
  for (std::size_t i = 0; i < head.size(); ++i) {
    if (differ_as(types.of(head[i].first), head_before[i].second, head[i].second)) return true;
  }
  StartingPoint start = load_start(options);
  const auto before = engine::named_weights(start.weights, start.config);
  const auto after = engine::named_weights(model.master(), model.config());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (differ_as(types.of(before[i].first), *before[i].second, *after[i].second)) return true;
  }
  return false;
}

[[noreturn]] void throw_unchanged(const TrainOptions& options, const engine::DecoderConfig& config,
                                  const TrainResult& result, const WorkFolder& work) {
  const double largest_norm = read_metrics(work.metrics()).largest_grad_norm;
  std::error_code ignored;
  fs::remove_all(work.path, ignored);
  if (largest_norm == 0.0) {
    throw Error(ErrorKind::kInput,
                "{}: {} optimiser steps changed no weight, as every gradient was 0: to the model "
                "chosen and rejected are the same in every pair",
                options.preferences.string(), result.num_steps);
  }
  throw Error(ErrorKind::kInput,
              "{}: {} optimiser steps changed no weight of {} as saved; raise --learning-rate {}{}",
              options.preferences.string(), result.num_steps, options.model.string(),
              options.learning_rate,
              save_types(options, config).dtype == engine::DType::kFloat32
                  ? ""
                  : ", or take --save-dtype float32, which keeps small updates");
}

ordered_json eval_json(const std::optional<EvalSummary>& eval) {
  if (!eval) return nullptr;
  return {{"num_pairs", eval->num_pairs},
          {"accuracy", eval->accuracy},
          {"loss", eval->loss},
          {"margin", eval->margin}};
}

/// Publishing replaces the whole folder: it must be empty or the output of an earlier charm train.
void check_output(const TrainOptions& options) {
  require_writable_folder(options.output);
  require_distinct(options.output, options.model);
  require_distinct(options.output, options.preferences);
  if (!fs::exists(options.output) || fs::is_empty(options.output)) return;
  const ordered_json manifest = storage::read_manifest(options.output);
  if (!manifest.is_object() || !manifest.contains("command") || manifest["command"] != "train") {
    throw Error(ErrorKind::kUsage,
                "--output {}: holds files that charm train did not write; choose another folder or "
                "empty it",
                options.output.string());
  }
}

/// The result recorded in a finished output of the same run; empty when the output is absent or may
/// be replaced.
std::optional<TrainResult> finished_result(const TrainOptions& options,
                                           const storage::Manifest& manifest) {
  const fs::path& output = options.output;
  if (options.fresh || !fs::exists(output) || fs::is_empty(output)) return std::nullopt;
  const ordered_json json = storage::read_manifest(output);
  if (!manifest.matches(output)) {
    if (options.replace_other) return std::nullopt;
    throw Error(ErrorKind::kUsage,
                "{}: exists and was trained with other options or inputs ({}); --fresh replaces it",
                output.string(), fmt::join(manifest.differences(json), "; "));
  }
  TrainResult result;
  result.num_steps = json.value("num_steps", std::int64_t{0});
  result.num_train_pairs = json.value("num_train_pairs", std::int64_t{0});
  result.pairs_per_step = json.value("pairs_per_step", std::int64_t{0});
  if (const auto loss = json.find("final_train_loss"); loss != json.end() && loss->is_number())
    result.final_train_loss = loss->get<double>();
  const MetricsSummary metrics = read_metrics(output / "metrics.jsonl");
  result.eval_before = metrics.eval_before;
  result.eval_after = metrics.eval_after;
  return result;
}

/// Hours of work may stand in the checkpoint of a run with other options or inputs: it is kept, but
/// in a recipe, whose settings say what is wanted.
void require_own_checkpoint(const TrainOptions& options, const WorkFolder& work,
                            const storage::Manifest& manifest) {
  const auto earlier = read_checkpoint_progress(work.checkpoint());
  if (!earlier) return;
  const std::vector<std::string> differences =
      manifest.differences(ordered_json::parse(earlier->run, nullptr, /*allow_exceptions=*/false));
  if (differences.empty()) return;
  const std::string found =
      fmt::format("{}: the checkpoint after {} steps of a run with other options or inputs ({})",
                  work.checkpoint().string(), earlier->step, fmt::join(differences, "; "));
  if (!options.replace_other) {
    throw Error(ErrorKind::kUsage,
                "{}; continue that run with its own options, choose another --output, or start "
                "over with --fresh",
                found);
  }
  log::warning("{}; training starts over", found);
  fs::remove(work.checkpoint());
}

/// Writes and atomically publishes the output folder.
void write_output(const TrainOptions& options, const WorkFolder& work,
                  engine::TrainableModel& model, const TrainResult& result,
                  const text::ConversationEncoder& encoder, storage::Manifest& manifest,
                  const std::string& fingerprint) {
  const fs::path folder = work.path / "model";
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  engine::write_model_files(folder, engine::resolve_model_source(options.model, options.source),
                            model.master(), model.config(), save_types(options, model.config()));
  if (options.template_file)
    write_file(folder / "chat_template.jinja", encoder.chat_template().source());
  write_file(folder / "metrics.jsonl", read_file(work.metrics()));
  manifest.extra("fingerprint", fingerprint)
      .extra("template_sha256", encoder.chat_template().sha256())
      .extra("num_steps", result.num_steps)
      .extra("num_train_pairs", result.num_train_pairs)
      .extra("pairs_per_step", result.pairs_per_step)
      .extra("final_train_loss",
             result.final_train_loss ? ordered_json(*result.final_train_loss) : ordered_json())
      .extra("eval_before", eval_json(result.eval_before))
      .extra("eval_after", eval_json(result.eval_after))
      .output(options.output / "model.safetensors");
  storage::write_manifest(folder, manifest);
  publish(folder, options.output);
  fs::remove_all(work.path, ignored);
}

/// The GPU back end, or null for the CPU.
const engine::DeviceBackend* backend_of(const TrainOptions& options) {
  if (options.device == "cpu") return nullptr;
  return engine::gpu_backend(options.device == "cuda" ? engine::DeviceChoice::kCuda
                                                      : engine::DeviceChoice::kAuto);
}

/// The model in training, with what the options freeze.
/// @param gpu  null: on the CPU
std::unique_ptr<engine::TrainableModel> make_model(const TrainOptions& options, StartingPoint start,
                                                   bool bfloat16,
                                                   const engine::DeviceBackend* gpu) {
  if (options.freeze_layers < 0 || options.freeze_layers >= start.config.num_layers) {
    throw Error(ErrorKind::kUsage,
                "--freeze-layers {}: the model has {} layers, and at least one must be trained",
                options.freeze_layers, start.config.num_layers);
  }
  const engine::TrainableOptions trainable{.bfloat16 = bfloat16,
                                           .train_embeddings = options.train_embeddings,
                                           .freeze_layers = options.freeze_layers,
                                           .activation_bytes = options.activation_gib * (1 << 30),
                                           .adamw = {.beta1 = options.adam_beta1,
                                                     .beta2 = options.adam_beta2,
                                                     .eps = options.adam_eps,
                                                     .weight_decay = options.weight_decay}};
  if (gpu != nullptr) {
    return gpu->make_trainable_model(start.config, std::move(start.weights), trainable,
                                     engine::DeviceChoice::kCuda);
  }
  return engine::make_trainable_model(start.config, std::move(start.weights), trainable);
}

TrainResult train_on_device(const TrainOptions& options, const ProgressFn& progress) {
  kernels::set_num_threads(options.threads > 0 ? options.threads : available_processors());
  check_output(options);
  const OutputLock lock(options.output);
  const engine::ModelSource source = engine::resolve_model_source(options.model, options.source);
  const engine::DeviceBackend* gpu = backend_of(options);
  const bool cuda = gpu != nullptr;
  const bool bfloat16 = options.dtype == ComputeDType::kAuto
                            ? engine::computes_in_bfloat16(engine::DTypeChoice::kAuto, cuda)
                            : options.dtype == ComputeDType::kBFloat16;
  storage::Manifest manifest =
      make_manifest(options, bfloat16 ? "bfloat16" : "float32", cuda ? "cuda" : "cpu");
  const std::string adapter = source.adapter_text();
  manifest.option("adapter", adapter.empty() ? ordered_json() : ordered_json(adapter));
  const std::string fingerprint = manifest.fingerprint();
  if (const auto result = finished_result(options, manifest)) return *result;
  const WorkFolder work{partial_path(options.output)};
  std::error_code ignored;
  if (options.fresh) fs::remove_all(work.path, ignored);
  require_own_checkpoint(options, work, manifest);
  const std::string run =
      manifest.to_json().dump(-1, ' ', false, ordered_json::error_handler_t::replace);

  for (const std::string& note : engine::describe_stored(source).notes)
    log::warning("{}: {}", options.model.string(), note);
  StartingPoint start = load_start(options);
  const text::ConversationEncoder encoder(
      source.tokenizer_folder,
      {.max_tokens = std::min(options.max_tokens, engine::conversation_positions(start.config)),
       .truncation = text::Truncation::kLeft,
       .bos = options.bos_as_template ? text::BosPolicy::kAsTemplate : text::BosPolicy::kOnce,
       .template_file = options.template_file,
       .template_folder = source.template_folder,
       .template_date = options.template_date,
       .template_kwargs = options.template_kwargs});
  const Data data = read_data(options, start.config, encoder);
  manifest.extra("num_equal_texts", data.num_equal_texts);
  const std::unique_ptr<engine::TrainableModel> model =
      make_model(options, std::move(start), bfloat16, gpu);
  const auto num_pairs = static_cast<std::int64_t>(data.train.size());
  check_steps(options, num_pairs);
  log::info("training on {} pairs, {} held out, {} steps of {} pairs, {} on {}", num_pairs,
            data.held_out.size(), count_steps(options, num_pairs),
            pairs_per_step(options, num_pairs), bfloat16 ? "bfloat16" : "float32",
            cuda ? "cuda" : "cpu");
  hint_at_shared_responses(data.train, options);
  const NamedWeights head_before = head_weights(*model);
  const TrainResult result =
      Trainer(*model, data.train, data.held_out, options, work, run).run(progress);
  lock.require_held();
  if (!result.finished) return result;
  if (!changed_weights(options, *model, head_before))
    throw_unchanged(options, model->config(), result, work);
  warn_about_small_changes(options, result);
  write_output(options, work, *model, result, encoder, manifest, fingerprint);
  return result;
}

}  // namespace

TrainResult train(const TrainOptions& options, const ProgressFn& progress) {
  check_options(options);
  return train_on_device(options, progress);
}

}  // namespace charm::train
