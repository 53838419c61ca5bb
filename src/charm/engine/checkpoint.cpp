
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/wrapper.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// Files that AutoTokenizer loads.
constexpr std::string_view kTokenizerFiles[] = {"tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "added_tokens.json",
                                                "chat_template.jinja",
                                                "chat_template.json",
                                                "vocab.json",
                                                "merges.txt",
                                                "tokenizer.model"};

/// The source's config.json with the changed fields; unknown fields are preserved.
std::string updated_config(const fs::path& source_dir, const DecoderConfig& config, DType dtype) {
  const fs::path path = source_dir / "config.json";
  auto json = parse_json<ordered_json>(read_file(path), path.string());
  if (const Wrapper* wrapper = find_wrapper(config.wrapper))
    json = unwrapped_config(*wrapper, json, path.string());
  // A non-linear head keeps its own architecture name.
  const Family& family = family_of_type(config.model_type);
  const bool linear = config.head == HeadKind::kLinear;
  if (linear) json["architectures"] = ordered_json::array({family.sequence_classifier});
  if (config.head == HeadKind::kNone)
    json["architectures"] = ordered_json::array({family.causal_lm});
  json.erase("transformers_weights");  // names a file of the source folder
  json["num_hidden_layers"] = config.num_layers;
  json["vocab_size"] = config.vocab_size;  // an adapter may have added tokens
  if (ordered_json& types = json["layer_types"]; types.is_array()) {
    types.erase(types.begin() + std::min<std::ptrdiff_t>(config.num_layers, std::ssize(types)),
                types.end());
  } else {
    json.erase("layer_types");
  }
  // transformers 5 writes "dtype", transformers 4 "torch_dtype"; both are accepted by either.
  json[json.contains("dtype") ? "dtype" : "torch_dtype"] = std::string(dtype_name(dtype));
  if (linear) {
    json["num_labels"] = 1;
    json["id2label"] = ordered_json::object({{"0", "LABEL_0"}});
    json["label2id"] = ordered_json::object({{"LABEL_0", 0}});
    // transformers refuses to score one label as one class of several.
    if (json.value("problem_type", ordered_json()) != "regression") json.erase("problem_type");
  }
  // Without a pad token transformers pools the last token, as we do; it stays unset.
  if (config.pad_token_id >= 0) json["pad_token_id"] = config.pad_token_id;
  return json.dump(2) + "\n";
}

}  // namespace

DType SaveTypes::of(const std::string& name) const {
  const auto found = others.find(name);
  return found == others.end() ? dtype : found->second;
}

void write_model_files(const fs::path& folder, const ModelSource& source, DecoderWeights& weights,
                       const DecoderConfig& config, const SaveTypes& types) {
  create_folders(folder);
  write_file(folder / "config.json", updated_config(source.folder, config, types.dtype));
  for (const std::string_view name : kTokenizerFiles) {
    const fs::path& from =
        name.starts_with("chat_template") ? source.template_folder : source.tokenizer_folder;
    if (fs::exists(from / name)) write_file(folder / name, read_file(from / name));
  }
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : named_weights(weights, config))
    tensors.emplace_back(name, *tensor);
  std::vector<DType> dtypes;
  for (const auto& [name, tensor] : tensors) dtypes.push_back(types.of(name));
  write_safetensors(folder / "model.safetensors", tensors, dtypes, {{"format", "pt"}});
}

}  // namespace charm::engine
