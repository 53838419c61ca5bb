#include "charm/model/decoder_weights.h"

#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "charm/base/error.h"
#include "charm/model/families/wrapper.h"
#include "charm/model/weight_names.h"
#include "charm/tensor/device.h"
#include "charm/tensor/safetensors.h"

namespace charm::model {
namespace {

namespace fs = std::filesystem;
using tensor::SafetensorsFile;
using tensor::SafetensorsFolder;

constexpr std::size_t kMaxListed = 8;

bool is_loadable(at::ScalarType dtype) {
  return dtype == at::ScalarType::Float || dtype == at::ScalarType::Half ||
         dtype == at::ScalarType::BFloat16;
}

std::string listed(const std::vector<std::string>& names) {
  const std::size_t count = std::min(names.size(), kMaxListed);
  std::string text = fmt::format(
      "'{}'", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), "', '"));
  if (names.size() > count) text += fmt::format(" and {} more", names.size() - count);
  return text;
}

/// A tensor in its file, under the name that it has there.
struct StoredTensor {
  const SafetensorsFile* file;
  std::string name;
};
using StoredTensors = std::map<std::string, StoredTensor>;

/// The folder's tensors by their names in the model; of a multimodal wrapper those of its text
/// side.
StoredTensors model_tensors(const SafetensorsFolder& folder, const DecoderConfig& config,
                            const fs::path& model_dir) {
  const Wrapper* wrapper = find_wrapper(config.wrapper);
  StoredTensors tensors;
  for (const auto& [name, file] : folder.tensors()) {
    const std::optional<std::string> own =
        wrapper == nullptr ? std::optional(name) : unwrapped_name(*wrapper, name);
    if (!own) continue;
    const auto [place, added] = tensors.emplace(*own, StoredTensor{file, name});
    if (!added) {
      throw Error(ErrorKind::kInput, "{}: tensors '{}' and '{}' are both '{}' of the text model",
                  model_dir.string(), place->second.name, name, *own);
    }
  }
  return tensors;
}

/// Checks the number of experts in the first layer that has any, which thousands of missing or
/// extra tensors would say less clearly.
void check_num_experts(const StoredTensors& tensors, const DecoderConfig& config,
                       const fs::path& model_dir) {
  if (!config.experts) return;
  std::map<std::int64_t, std::set<std::int64_t>> experts_of_layer;
  for (const auto& [name, stored] : tensors) {
    const std::int64_t expert = expert_of_weight(name, config);
    if (expert >= 0) experts_of_layer[layer_of_weight(name, config)].insert(expert);
  }
  if (experts_of_layer.empty()) return;
  const auto& [layer, experts] = *experts_of_layer.begin();
  const std::int64_t stated = config.experts->routing.num_experts;
  if (std::ssize(experts) == stated) return;
  throw Error(ErrorKind::kInput,
              "{}: layer {} has the tensors of {} experts, but config.json says {}",
              model_dir.string(), layer, experts.size(), stated);
}

/// Checks that every tensor the config implies is present, and none that would be ignored.
void check_names(const StoredTensors& tensors, const std::vector<WeightSlot>& slots,
                 const DecoderConfig& config, const LoadWeightsOptions& options,
                 const fs::path& model_dir) {
  check_num_experts(tensors, config, model_dir);
  std::vector<std::string> missing;
  std::map<std::string, int> expected;
  for (const WeightSlot& slot : slots) {
    expected.emplace(slot.name, 0);
    if (tensors.contains(slot.name)) continue;
    if (slot.kind == WeightShape::kHead) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' [{}] is missing: without it the model has no reward head, and a "
                  "random one is never used; expected the weights of a {}",
                  model_dir.string(), slot.name, fmt::join(slot.shape, ", "), config.architecture);
    }
    missing.push_back(slot.name);
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: {} of the {} tensors that config.json implies {} missing: {}",
                model_dir.string(), missing.size(), slots.size(),
                missing.size() == 1 ? "is" : "are", listed(missing));
  }
  std::vector<std::string> extra;
  for (const auto& [name, stored] : tensors) {
    const std::int64_t layer = layer_of_weight(name, config);
    const bool dropped_layer = layer >= config.num_layers && layer < options.stored_layers;
    if (!expected.contains(name) && !is_ignored_weight(name) && !dropped_layer)
      extra.push_back(name);
  }
  if (!extra.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: {} tensor{} that a {} of this config.json does not have: {}; ignoring them "
                "could give wrong scores",
                model_dir.string(), extra.size(), extra.size() == 1 ? "" : "s", config.architecture,
                listed(extra));
  }
}

/// @param upload  null: the tensor stays on the CPU
at::Tensor load_tensor(const StoredTensor& stored, const WeightSlot& slot,
                       const LoadWeightsOptions& options, tensor::DeviceUpload* upload) {
  const SafetensorsFile& file = *stored.file;
  const tensor::TensorInfo& info = file.tensors().at(stored.name);
  if (!is_loadable(info.dtype)) {
    throw Error(
        ErrorKind::kInput,
        "{}: tensor '{}' has dtype {}, expected F32, F16 or BF16 (quantised weights are refused)",
        file.path().string(), stored.name, tensor::safetensors_dtype_name(info.dtype));
  }
  if (info.shape != slot.shape) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' has shape [{}], but config.json implies [{}]",
                file.path().string(), stored.name, fmt::join(info.shape, ", "),
                fmt::join(slot.shape, ", "));
  }
  at::Tensor view = file.view(stored.name);
  if (const auto bad = tensor::find_non_finite(view)) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}' holds NaN or infinity at element {}, expected finite weights only",
                file.path().string(), stored.name, *bad);
  }
  const at::ScalarType dtype = is_float32(slot.kind) ? at::ScalarType::Float : options.dtype;
  if (upload != nullptr) {
    at::Tensor uploaded = upload->upload(view, dtype);
    tensor::release_pages(view);  // its bytes are in the pinned buffers or on the device
    return uploaded;
  }
  if (info.dtype != dtype) {
    at::Tensor converted = view.to(dtype);
    tensor::release_pages(view);
    // float16 has a smaller range than float32: a value may have overflowed.
    if (dtype == at::ScalarType::Half && tensor::find_non_finite(converted)) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' overflows float16; use float32 or bfloat16",
                  file.path().string(), stored.name);
    }
    return converted;
  }
  if (options.share_file) return view;
  at::Tensor copy = view.clone();
  tensor::release_pages(view);
  return copy;
}

}  // namespace

DecoderWeights load_weights(const fs::path& model_dir, const DecoderConfig& config,
                            const LoadWeightsOptions& options) {
  const SafetensorsFolder folder(model_dir);
  const StoredTensors tensors = model_tensors(folder, config, model_dir);
  DecoderWeights weights;
  std::vector<WeightSlot> slots = weight_slots(weights, config);
  if (options.lm_head && !config.tie_word_embeddings) {
    if (!tensors.contains(std::string(kLmHead))) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' is missing and config.json does not tie it to the embedding "
                  "(tie_word_embeddings): the model cannot generate",
                  model_dir.string(), kLmHead);
    }
    slots.push_back({std::string(kLmHead),
                     WeightShape::kEmbedding,
                     {config.vocab_size, config.hidden_size},
                     &weights.lm_head_VD});
  }
  check_names(tensors, slots, config, options, model_dir);
  std::optional<tensor::DeviceUpload> upload;
  if (!options.device.is_cpu()) upload.emplace(options.device);
  for (const WeightSlot& slot : slots)
    *slot.tensor = load_tensor(tensors.at(slot.name), slot, options, upload ? &*upload : nullptr);
  if (upload) upload->finish();
  if (options.lm_head && config.tie_word_embeddings) weights.lm_head_VD = weights.embed_VD;
  return weights;
}

void keep_first_layers(DecoderWeights& weights, DecoderConfig& config, std::int64_t num_layers) {
  if (num_layers < 1 || num_layers > config.num_layers) {
    throw Error(ErrorKind::kUsage, "cannot keep the first {} layers of a model of {}", num_layers,
                config.num_layers);
  }
  weights.blocks.resize(static_cast<std::size_t>(num_layers));
  config.num_layers = num_layers;
}

}  // namespace charm::model
