#include "charm/engine/source_tensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/parse_json.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/wrapper.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

/// A file beside the weights that holds a head, and what its names lack.
struct HeadFile {
  const char* name;
  const char* prefix;
};
// LLaMA-Factory's value heads.
constexpr HeadFile kHeadFiles[] = {{"value_head.safetensors", ""}, {"value_head.bin", ""}};
// LDL's two networks.
constexpr HeadFile kNetworkFiles[] = {{"regression_layer.pt", "regression_layer."},
                                      {"gating_layer.pt", "gating_layer."}};

const HeadFile* find_head_file(const fs::path& folder) {
  std::error_code error;
  for (const HeadFile& file : kHeadFiles) {
    if (fs::exists(folder / file.name, error)) return &file;
  }
  return nullptr;
}

/// A text of config.json; empty without one.
std::string config_text(const fs::path& folder, const char* key) {
  const fs::path path = folder / "config.json";
  std::error_code error;
  if (!fs::exists(path, error)) return "";
  const auto config = parse_json(read_file(path), path.string());
  const auto found = config.is_object() ? config.find(key) : config.end();
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

/// A number of config.json; `fallback` where there is none.
std::int64_t config_number(const fs::path& folder, const char* key, std::int64_t fallback) {
  const fs::path path = folder / "config.json";
  const auto config = parse_json(read_file(path), path.string());
  const auto found = config.is_object() ? config.find(key) : config.end();
  return found != config.end() && found->is_number_integer() ? found->get<std::int64_t>()
                                                             : fallback;
}

/// The text side of a multimodal wrapper, under the names of the text model.
std::map<std::string, StoredTensor> unwrapped(const Wrapper& wrapper,
                                              const std::map<std::string, StoredTensor>& tensors,
                                              const fs::path& folder) {
  std::map<std::string, StoredTensor> renamed;
  for (const auto& [name, stored] : tensors) {
    const std::optional<std::string> own = unwrapped_name(wrapper, name);
    if (!own) continue;
    const auto [place, added] = renamed.emplace(*own, stored);
    if (!added) {
      throw Error(ErrorKind::kInput, "{}: tensors '{}' and '{}' are both '{}' of the text model",
                  folder.string(), place->second.name, name, *own);
    }
  }
  return renamed;
}

/// The tensor names of the decoder that a config.json describes; null for an unknown one.
const WeightNames* names_of_type(const std::string& model_type) {
  if (const Wrapper* wrapper = find_wrapper(model_type)) return wrapper->text->names;
  for (const Family* family : all_families()) {
    if (model_type == family->model_type) return family->names;
  }
  return nullptr;
}

/// Experts that are stored in one tensor, and routers, under their published names.
std::map<std::string, StoredTensor> with_single_experts(
    const std::map<std::string, StoredTensor>& tensors, const WeightNames& names,
    const fs::path& folder) {
  std::map<std::string, StoredTensor> single;
  const auto add = [&](const std::string& name, const StoredTensor& tensor) {
    if (single.emplace(name, tensor).second) return;
    throw Error(ErrorKind::kInput, "{}: tensor '{}' is there twice: by itself and as '{}'",
                folder.string(), name, tensor.name);
  };
  for (const auto& [name, stored] : tensors) {
    const std::vector<std::int64_t> shape = stored.shape();
    std::vector<FusedPart> parts;
    if (shape.size() == 3) parts = parts_of_fused(name, shape[0], shape[1], names);
    if (parts.empty()) add(published_name(name, names), stored);
    for (const FusedPart& part : parts) {
      StoredTensor rows = stored;
      rows.part = RowBlocks{.first = part.expert * shape[1] + part.first, .rows = part.rows};
      add(part.name, rows);
    }
  }
  return single;
}

/// q, k and v of each key/value head in one tensor, as three tensors. Shapes are checked when these
/// are loaded.
std::map<std::string, StoredTensor> with_single_projections(
    const std::map<std::string, StoredTensor>& tensors, const WeightNames& names,
    const fs::path& folder) {
  const std::int64_t heads = config_number(folder, "num_attention_heads", 0);
  const std::int64_t kv_heads = config_number(folder, "num_key_value_heads", heads);
  std::map<std::string, StoredTensor> single;
  for (const auto& [name, stored] : tensors) {
    const std::vector<std::int64_t> shape = stored.shape();
    std::vector<QkvPart> parts;
    if (shape.size() == 2 && heads > 0 && kv_heads > 0 && heads % kv_heads == 0 &&
        shape[0] % (heads + 2 * kv_heads) == 0) {
      parts = parts_of_qkv(name, heads, kv_heads, shape[0] / (heads + 2 * kv_heads), names);
    }
    if (parts.empty()) single.emplace(name, stored);
    for (const QkvPart& part : parts) {
      StoredTensor rows = stored;
      rows.part = RowBlocks{part.first, part.rows, part.stride, part.count};
      single.emplace(part.name, rows);
    }
  }
  return single;
}

/// transformers 5.17, conversion_mapping.py: names of LayerNorm's tensors in early checkpoints.
std::map<std::string, StoredTensor> with_layer_norm_names(
    const std::map<std::string, StoredTensor>& tensors) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"LayerNorm.gamma", "weight"},
                                                                      {"LayerNorm.beta", "bias"}};
  std::map<std::string, StoredTensor> renamed;
  for (const auto& [name, stored] : tensors) {
    std::string own = name;
    for (const auto& [early, late] : kNames) {
      if (own.ends_with(early)) own.replace(own.rfind('.') + 1, std::string::npos, late);
    }
    renamed.emplace(std::move(own), stored);
  }
  return renamed;
}

bool is_of_bare_trunk(std::string_view name) {
  return name.starts_with("embed_tokens.") || name.starts_with("layers.") ||
         name.starts_with("norm.");
}

}  // namespace

SourceTensors::SourceTensors(const ModelSource& source)
    : folder_(source.folder, config_text(source.folder, "transformers_weights")) {
  const HeadFile* head = find_head_file(source.folder);
  if (source.adapter) {
    if (const HeadFile* own = find_head_file(*source.adapter)) {
      head = nullptr;  // the adapter was trained with its own
      adapter_head_ = open_weights_file(*source.adapter / own->name);
    }
  }
  if (head != nullptr) folder_.add(source.folder / head->name, head->prefix);
  for (const HeadFile& file : kNetworkFiles) {
    if (fs::exists(source.folder / file.name)) folder_.add(source.folder / file.name, file.prefix);
  }
  tensors_ = with_layer_norm_names(folder_.tensors());
  const std::string model_type = config_text(source.folder, "model_type");
  const Wrapper* wrapper = find_wrapper(model_type);
  if (wrapper != nullptr) tensors_ = unwrapped(*wrapper, tensors_, source.folder);
  add_trunk_prefix();
  const WeightNames* names = names_of_type(model_type);
  if (names != nullptr && names->experts != nullptr)
    tensors_ = with_single_experts(tensors_, *names, source.folder);
  if (names != nullptr && names->grouped_qkv != nullptr)
    tensors_ = with_single_projections(tensors_, *names, source.folder);
  if (!source.adapter) return;
  const auto rename = [&](const std::string& name) {
    std::optional<std::string> own = wrapper != nullptr ? unwrapped_name(*wrapper, name) : name;
    if (own && trunk_is_bare_ && is_of_bare_trunk(*own)) own->insert(0, "model.");
    return own && names != nullptr ? published_name(*own, *names) : own;
  };
  adapter_.emplace(*source.adapter, AdapterBase{tensors_, names, rename});
  for (const auto& [name, stored] : adapter_->replaced())
    tensors_.insert_or_assign(name, StoredTensor{&adapter_->file(), stored});
  if (!adapter_head_) return;
  for (const auto& [name, info] : adapter_head_->tensors())
    tensors_.insert_or_assign(name, StoredTensor{adapter_head_.get(), name});
}

void SourceTensors::add_trunk_prefix() {
  const bool is_bare = tensors_.contains("embed_tokens.weight") &&
                       std::none_of(tensors_.begin(), tensors_.end(), [](const auto& entry) {
                         return entry.first.starts_with("model.");
                       });
  if (!is_bare) return;
  trunk_is_bare_ = true;
  std::map<std::string, StoredTensor> renamed;
  for (const auto& [name, stored] : tensors_) {
    renamed.emplace(is_of_bare_trunk(name) ? "model." + name : name, stored);
  }
  tensors_ = std::move(renamed);
}

HeadEvidence SourceTensors::head_evidence(const ModelSource& source) const {
  HeadEvidence evidence{.logit_id = source.logit_id, .folder = source.folder.string()};
  for (const auto& [name, stored] : tensors_) {
    if (name.find(".layers.") != std::string::npos && !name.starts_with("gating")) continue;
    const bool from_adapter = source.adapter.has_value() &&
                              stored.file->path().parent_path() == *source.adapter &&
                              !folder_.tensors().contains(name);
    evidence.tensors.emplace(name, HeadTensor{.shape = stored.shape(),
                                              .file = stored.file->path().filename().string(),
                                              .from_adapter = from_adapter});
  }
  return evidence;
}

void SourceTensors::apply_adapter(DecoderConfig& config) const {
  const auto own = [&](std::string_view name) {
    const auto found = tensors_.find(std::string(name));
    return found != tensors_.end() && found->second.file == &adapter_->file() ? &found->second
                                                                              : nullptr;
  };
  const std::string embedding(family_of_type(config.model_type).names->embedding);
  if (const StoredTensor* stored = own(embedding); stored != nullptr && !stored->shape().empty())
    config.vocab_size = stored->shape().front();
  if (own(kLmHead) != nullptr) config.tie_word_embeddings = false;
}

SaveTypes stored_types(const ModelSource& source, DType dtype) {
  SaveTypes types{.dtype = dtype};
  const SourceTensors tensors(source);
  for (const auto& [name, stored] : tensors.all()) {
    const DType own = stored.dtype();
    // float64 is computed as float32, and no more than that is saved.
    const bool is_wide = own == DType::kFloat32 || own == DType::kFloat64;
    const bool is_narrow = own == DType::kFloat16 || own == DType::kBFloat16;
    const DType saved = is_wide ? DType::kFloat32 : own;
    if ((is_wide || is_narrow) && saved != dtype) types.others.emplace(name, saved);
  }
  return types;
}

StoredModel describe_stored(const ModelSource& source) {
  StoredModel stored;
  if (!has_weights(source.folder)) return stored;
  const SourceTensors tensors(source);
  for (const auto& file : tensors.folder().files())
    stored.weights_bytes += static_cast<std::int64_t>(fs::file_size(file->path()));
  if (const LoraAdapter* adapter = tensors.adapter()) {
    stored.adapter = adapter->summary();
    stored.warnings = adapter->notes();
    stored.weights_bytes += static_cast<std::int64_t>(fs::file_size(adapter->file().path()));
    for (const auto& [name, in_file] : adapter->replaced()) {
      if (!tensors.folder().tensors().contains(name)) continue;
      stored.notes.push_back(
          fmt::format("{}: its {} replaces the base model's, as in peft's "
                      "merge_and_unload",
                      adapter->file().path().string(), name));
    }
  }
  const std::string problem = config_text(source.folder, "problem_type");
  if (!problem.empty() && problem != "regression") {
    stored.notes.push_back(
        fmt::format("config.json says problem_type {}, with which transformers "
                    "refuses to score one label; it is not read here, and charm "
                    "train leaves it out",
                    problem));
  }
  if (config_text(source.folder, "model_type") == "gemma" &&
      config_text(source.folder, "hidden_act") == "gelu") {
    stored.notes.push_back(
        "config.json says hidden_act gelu, computed as the exact one as in transformers to 5.17; "
        "5.24 takes the tanh approximation of Google's own models: write gelu_pytorch_tanh if "
        "the model was trained with that");
  }
  if (tensors.trunk_is_bare())
    stored.notes.push_back("the decoder's tensors lack the prefix 'model.', which is added");
  const std::set<std::string>& wrappers = tensors.folder().wrappers();
  if (!wrappers.empty()) {
    stored.notes.push_back(
        fmt::format("the tensors' names have {} of a training framework, which "
                    "{} left out",
                    fmt::join(wrappers, ", "), wrappers.size() == 1 ? "is" : "are"));
  }
  return stored;
}

namespace {

/// Whether an LM head is stored whose values are not those of the embedding.
bool has_own_lm_head(const SourceTensors& tensors, const DecoderConfig& config) {
  const std::string embedding(family_of_type(config.model_type).names->embedding);
  const std::string head(kLmHead);
  if (!tensors.contains(embedding) || !tensors.contains(head)) return false;
  const Tensor embed_VD = tensors.at(embedding).view(), head_VD = tensors.at(head).view();
  if (embed_VD.shape() != head_VD.shape()) return true;
  if (embed_VD.dtype() == head_VD.dtype())
    return std::memcmp(embed_VD.bytes(), head_VD.bytes(), embed_VD.nbytes()) != 0;
  const Tensor embed = embed_VD.to(DType::kFloat32), own = head_VD.to(DType::kFloat32);
  return std::memcmp(embed.bytes(), own.bytes(), embed.nbytes()) != 0;
}

/// transformers 5.17, tie_weights: a language model whose files hold an LM head of other values has
/// that one, whatever tie_word_embeddings says. Version 4 takes the embedding.
void untie_own_lm_head(const SourceTensors& tensors, const ModelSource& source,
                       DecoderConfig& config) {
  const bool uses_one = config.head == HeadKind::kNone || config.head == HeadKind::kLmLogit;
  if (!config.tie_word_embeddings || !uses_one || !has_own_lm_head(tensors, config)) return;
  log::warning(
      "{}: tie_word_embeddings says that the LM head is the embedding, but '{}' is stored with "
      "other values; it is used, as in transformers 5 (4 takes the embedding)",
      source.folder.string(), kLmHead);
  config.tie_word_embeddings = false;
}

}  // namespace

DecoderConfig load_model_config(const ModelSource& source) {
  const fs::path path = source.folder / "config.json";
  if (!fs::exists(path)) {
    throw Error(ErrorKind::kIo, "{}: holds no config.json; expected a Hugging Face model folder",
                source.folder.string());
  }
  const std::string text = read_file(path);
  DecoderConfig config = parse_model_config(text, path.string());
  const bool told_by_tensors = config.head == HeadKind::kNone || head_of(config.head).by_tensors;
  if (source.logit_id || (told_by_tensors && has_weights(source.folder))) {
    const SourceTensors tensors(source);
    config = parse_model_config(text, path.string(), tensors.head_evidence(source));
    untie_own_lm_head(tensors, source, config);
  }
  if (source.adapter) SourceTensors(source).apply_adapter(config);
  return config;
}

DecoderConfig load_model_config(const fs::path& model_dir) {
  return load_model_config(resolve_model_source(model_dir, {}));
}

}  // namespace charm::engine
