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

}  // namespace

SourceTensors::SourceTensors(const ModelSource& source)
    : folder_(source.folder, config_text(source.folder, "transformers_weights")) {
  const HeadFile* head = find_head_file(source.folder);
  if (source.adapter) {
    adapter_.emplace(*source.adapter);
    if (const HeadFile* own = find_head_file(*source.adapter)) {
      head = nullptr;  // the adapter was trained with its own
      adapter_head_ = open_weights_file(*source.adapter / own->name);
    }
  }
  if (head != nullptr) folder_.add(source.folder / head->name, head->prefix);
  for (const HeadFile& file : kNetworkFiles) {
    if (fs::exists(source.folder / file.name)) folder_.add(source.folder / file.name, file.prefix);
  }
  tensors_ = folder_.tensors();
  if (const Wrapper* wrapper = find_wrapper(config_text(source.folder, "model_type")))
    tensors_ = unwrapped(*wrapper, tensors_, source.folder);
  add_trunk_prefix();
  if (!adapter_) return;
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
    const bool of_trunk = name.starts_with("embed_tokens.") || name.starts_with("layers.") ||
                          name.starts_with("norm.");
    renamed.emplace(of_trunk ? "model." + name : name, stored);
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
    evidence.tensors.emplace(name, HeadTensor{.shape = stored.info().shape,
                                              .file = stored.file->path().filename().string(),
                                              .from_adapter = from_adapter});
  }
  return evidence;
}

SaveTypes stored_types(const ModelSource& source, DType dtype) {
  SaveTypes types{.dtype = dtype};
  const SourceTensors tensors(source);
  for (const auto& [name, stored] : tensors.all()) {
    const DType own = stored.info().dtype;
    const bool loadable =
        own == DType::kFloat32 || own == DType::kFloat16 || own == DType::kBFloat16;
    if (loadable && own != dtype) types.others.emplace(name, own);
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
        "config.json says hidden_act gelu, the exact one, as transformers to 5.17 computes it; "
        "5.24 "
        "takes it for the tanh approximation of Google's own models: write gelu_pytorch_tanh if "
        "the "
        "model was trained with that");
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
    throw Error(ErrorKind::kIo, "{}: no config.json; expected a model folder in Hugging Face form",
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
  return config;
}

DecoderConfig load_model_config(const fs::path& model_dir) {
  return load_model_config(resolve_model_source(model_dir, {}));
}

}  // namespace charm::engine
