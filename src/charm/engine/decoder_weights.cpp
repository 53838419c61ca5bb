#include "charm/engine/decoder_weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "charm/base/error.h"
#include "charm/engine/families/family.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/source_tensors.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxListed = 8;

bool is_loadable(DType dtype) {
  return dtype == DType::kFloat64 || dtype == DType::kFloat32 || dtype == DType::kFloat16 ||
         dtype == DType::kBFloat16;
}

std::string listed(const std::vector<std::string>& names) {
  const std::size_t count = std::min(names.size(), kMaxListed);
  std::string text = fmt::format(
      "'{}'", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), "', '"));
  if (names.size() > count) text += fmt::format(" and {} more", names.size() - count);
  return text;
}

/// Why a head's tensor is not there, and what to do.
[[noreturn]] void throw_no_head(const WeightSlot& slot, const DecoderConfig& config,
                                const ModelSource& source) {
  const std::string place =
      source.adapter
          ? fmt::format("{} with adapter {}", source.folder.string(), source.adapter->string())
          : source.folder.string();
  throw Error(ErrorKind::kInput,
              "{}: tensor '{}' [{}] is missing: without it the model has no reward head, and a "
              "random one is never used; expected the weights of a {}{}",
              place, slot.name, fmt::join(slot.shape, ", "), config.architecture,
              source.adapter ? "; was the head saved with the adapter (modules_to_save)? A LoRA "
                               "run of OpenRLHF leaves it in no file: save the merged model with "
                               "its head"
                             : "");
}

/// Checks the number of experts in the first layer that has any, which thousands of missing or
/// extra tensors would say less clearly.
void check_num_experts(const SourceTensors& tensors, const DecoderConfig& config,
                       const ModelSource& source) {
  if (!config.experts) return;
  std::map<std::int64_t, std::set<std::int64_t>> experts_of_layer;
  for (const auto& [name, stored] : tensors.all()) {
    const std::int64_t expert = expert_of_weight(name, config);
    if (expert >= 0) experts_of_layer[layer_of_weight(name, config)].insert(expert);
  }
  if (experts_of_layer.empty()) return;
  const auto& [layer, experts] = *experts_of_layer.begin();
  const std::int64_t stated = config.experts->routing.num_experts;
  if (std::ssize(experts) == stated) return;
  throw Error(ErrorKind::kInput,
              "{}: layer {} has the tensors of {} experts, but config.json says {}",
              source.folder.string(), layer, experts.size(), stated);
}

/// Checks that every tensor the config implies is present, and none that would be ignored.
void check_names(const SourceTensors& tensors, const std::vector<WeightSlot>& slots,
                 const DecoderConfig& config, const LoadWeightsOptions& options,
                 const ModelSource& source) {
  check_num_experts(tensors, config, source);
  std::vector<std::string> missing;
  std::map<std::string, int> expected;
  for (const WeightSlot& slot : slots) {
    expected.emplace(slot.name, 0);
    if (tensors.contains(slot.name)) continue;
    if (slot.kind == WeightShape::kHead) throw_no_head(slot, config, source);
    missing.push_back(slot.name);
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: {} of the {} tensors that config.json implies {} missing: {}",
                source.folder.string(), missing.size(), slots.size(),
                missing.size() == 1 ? "is" : "are", listed(missing));
  }
  const auto is_known = [&](const std::string& name) {
    const std::int64_t layer = layer_of_weight(name, config);
    const bool dropped_layer = layer >= config.num_layers && layer < options.stored_layers;
    return expected.contains(name) || is_ignored_weight(name, config) || dropped_layer;
  };
  std::vector<std::string> extra;
  for (const auto& [name, stored] : tensors.all()) {
    if (!is_known(name)) extra.push_back(name);
  }
  if (!extra.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: {} tensor{} that a {} of this config.json does not have: {}; ignoring them "
                "could give wrong scores",
                source.folder.string(), extra.size(), extra.size() == 1 ? "" : "s",
                config.architecture, listed(extra));
  }
  if (tensors.adapter() == nullptr) return;
  for (const std::string& name : tensors.adapter()->changed()) {
    if (!is_known(name)) extra.push_back(name);
  }
  if (!extra.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: the adapter changes {} tensor{} that its base {} does not have: {}; it was "
                "trained on another base: give that one with --base-model DIR",
                source.adapter->string(), extra.size(), extra.size() == 1 ? "" : "s",
                source.folder.string(), listed(extra));
  }
}

/// Refuses adapters of a tied embedding where the LM head counts: peft changes the one without the
/// other until it merges them, and then both.
void check_tied(const SourceTensors& tensors, const DecoderConfig& config,
                const LoadWeightsOptions& options, const ModelSource& source) {
  const bool needs_head = options.lm_head || config.head == HeadKind::kLmLogit;
  const LoraAdapter* adapter = tensors.adapter();
  if (adapter == nullptr || !needs_head || !config.tie_word_embeddings) return;
  const std::string embedding(family_of_type(config.model_type).names->embedding);
  for (const std::string& name : {embedding, std::string(kLmHead)}) {
    const bool both = adapter->replaces_rows(name);
    if (both || (!adapter->changes(name) && !adapter->replaced().contains(name))) continue;
    throw Error(ErrorKind::kInput,
                "{}: the adapter changes {}, which config.json ties to {}: with peft the LM head "
                "differs before and after merging; merge it in Python (merge_and_unload(), "
                "save_pretrained()) and give that folder",
                source.adapter->string(), name, name == embedding ? kLmHead : embedding);
  }
}

Tensor load_tensor(const SourceTensors& tensors, const WeightSlot& slot,
                   const LoadWeightsOptions& options) {
  const StoredTensor& stored = tensors.at(slot.name);
  const WeightsFile& file = *stored.file;
  const std::vector<std::int64_t> shape = stored.shape();
  if (!is_loadable(stored.dtype())) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}' has dtype {}, expected F64, F32, F16 or BF16 (quantised weights "
                "are refused)",
                file.path().string(), stored.name, safetensors_dtype_name(stored.dtype()));
  }
  const bool fits = slot.row < 0
                        ? shape == slot.shape
                        : shape.size() == 2 && slot.row < shape[0] && shape[1] == slot.shape[1];
  if (!fits) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' has shape [{}], but config.json implies {}[{}]",
                file.path().string(), stored.name, fmt::join(shape, ", "),
                slot.row < 0 ? "" : fmt::format("row {} of ", slot.row),
                fmt::join(slot.shape, ", "));
  }
  const DType dtype = is_float32(slot.kind) ? DType::kFloat32 : options.dtype;
  Tensor view = stored.view();
  if (view.dtype() == DType::kFloat64) {
    const Tensor wide = view;
    view = wide.to(DType::kFloat32);
    release_pages(wide);
  }
  const bool is_merged = tensors.adapter() != nullptr && tensors.adapter()->changes(slot.name);
  if (is_merged) {
    const Tensor base = view;
    view = tensors.adapter()->merged(slot.name, base, dtype);
    release_pages(base);
  }
  if (slot.row >= 0) view = view.narrow(slot.row, 1);
  if (const auto bad = find_non_finite(view)) {
    throw Error(
        ErrorKind::kInput,
        "{}: tensor '{}' holds NaN or infinity{} at element {}, expected finite weights only",
        file.path().string(), stored.name, stored.dtype() == DType::kFloat64 ? " as float32" : "",
        *bad);
  }
  if (options.as_stored) {
    release_pages(view);  // read again when it is packed or uploaded: only then is it needed
    return view;
  }
  if (is_merged && view.dtype() == dtype) return view;
  if (view.dtype() != dtype) {
    Tensor converted = view.to(dtype);
    release_pages(view);
    // float16 has a smaller range than float32: a value may have overflowed.
    if (dtype == DType::kFloat16 && find_non_finite(converted)) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' overflows float16; use float32 or bfloat16",
                  file.path().string(), stored.name);
    }
    return converted;
  }
  Tensor copy = view.clone();
  release_pages(view);
  return copy;
}

/// transformers 5.17, tie_weights: of an embedding and an LM head that are tied either may be the
/// stored one; files of safetensors' save_model hold the head.
void take_tied_head_as_embedding(const SourceTensors& tensors, const DecoderConfig& config,
                                 std::vector<WeightSlot>& slots) {
  const Family& family = family_of_type(config.model_type);
  const std::string embedding(family.names->embedding), head(kLmHead);
  const bool is_head_alone = tensors.contains(head) && !tensors.contains(embedding);
  if (!is_head_alone || !config.tie_word_embeddings || config.architecture != family.causal_lm)
    return;
  for (WeightSlot& slot : slots) {
    if (slot.name == embedding) slot.name = head;
  }
}

}  // namespace

DecoderWeights load_weights(const ModelSource& source, const DecoderConfig& config,
                            const LoadWeightsOptions& options) {
  const SourceTensors tensors(source);
  DecoderWeights weights;
  std::vector<WeightSlot> slots = weight_slots(weights, config);
  if (options.lm_head && !config.tie_word_embeddings) {
    if (!tensors.contains(std::string(kLmHead))) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' is missing and config.json does not tie it to the embedding "
                  "(tie_word_embeddings): the model cannot generate",
                  source.folder.string(), kLmHead);
    }
    slots.push_back({std::string(kLmHead),
                     WeightShape::kEmbedding,
                     {config.vocab_size, config.hidden_size},
                     &weights.lm_head_VD});
  }
  take_tied_head_as_embedding(tensors, config, slots);
  check_names(tensors, slots, config, options, source);
  check_tied(tensors, config, options, source);
  for (const WeightSlot& slot : slots) *slot.tensor = load_tensor(tensors, slot, options);
  if (options.lm_head && config.tie_word_embeddings) weights.lm_head_VD = weights.embed_VD;
  return weights;
}

DecoderWeights load_weights(const fs::path& model_dir, const DecoderConfig& config,
                            const LoadWeightsOptions& options) {
  return load_weights(resolve_model_source(model_dir, {}), config, options);
}

BlockWeights split_fused(const DecoderConfig& config, BlockWeights weights) {
  if (weights.qkv_HED.defined()) {
    const std::int64_t heads = config.num_heads * config.head_dim;
    const std::int64_t kv_heads = config.num_kv_heads * config.head_dim;
    weights.q_HED = weights.qkv_HED.narrow(0, heads);
    weights.k_KED = weights.qkv_HED.narrow(heads, kv_heads);
    weights.v_KED = weights.qkv_HED.narrow(heads + kv_heads, kv_heads);
  }
  if (weights.gate_up_FD.defined()) {
    const std::int64_t width = weights.gate_up_FD.rows() / 2;
    weights.gate_FD = weights.gate_up_FD.narrow(0, width);
    weights.up_FD = weights.gate_up_FD.narrow(width, width);
  }
  return weights;
}

}  // namespace charm::engine
