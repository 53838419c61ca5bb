#include <algorithm>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/tensor/safetensors.h"

namespace charm::tensor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

/// tensor name -> shard's file name, from the index.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  json parsed = parse_json(read_file(index), index.string());
  const json* map =
      parsed.is_object() && parsed.contains("weight_map") ? &parsed["weight_map"] : nullptr;
  if (map == nullptr || !map->is_object()) {
    throw Error(ErrorKind::kInput,
                "{}: expected an object 'weight_map' from tensor names to shards", index.string());
  }
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    const bool plain = shard.is_string() &&
                       fs::path(shard.get<std::string>()).filename() == shard.get<std::string>();
    if (!plain) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' lies in {}, expected the name of a file beside the index",
                  index.string(), name, shard.dump());
    }
    shards.emplace(name, shard.get<std::string>());
  }
  if (shards.empty()) throw Error(ErrorKind::kInput, "{}: 'weight_map' is empty", index.string());
  return shards;
}

[[noreturn]] void throw_no_weights(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw Error(ErrorKind::kIo, "{}: expected a model folder in Hugging Face form, found none",
                folder.string());
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt") {
      throw Error(
          ErrorKind::kInput,
          "{}: the weights are a pickle, which can execute code when loaded, so it is refused; "
          "expected {}: convert it once with transformers' save_pretrained",
          entry.path().string(), kSingle);
    }
  }
  throw Error(ErrorKind::kInput, "{}: expected {} or {}, found neither", folder.string(), kSingle,
              kIndex);
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) {
  const fs::path single = folder / kSingle;
  const fs::path index = folder / kIndex;
  if (fs::exists(single)) {  // transformers prefers the single file too
    files_.push_back(std::make_unique<SafetensorsFile>(single));
    for (const auto& [name, info] : files_.back()->tensors())
      tensors_.emplace(name, files_.back().get());
    return;
  }
  if (!fs::exists(index)) throw_no_weights(folder);

  const std::map<std::string, std::string> shards = read_weight_map(index);
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, shard] : shards) {
    if (opened.contains(shard)) continue;
    if (!fs::exists(folder / shard)) {
      throw Error(ErrorKind::kInput, "{}: shard '{}' of tensor '{}' is missing from the folder",
                  index.string(), shard, name);
    }
    files_.push_back(std::make_unique<SafetensorsFile>(folder / shard));
    opened.emplace(shard, files_.back().get());
  }
  for (const auto& [name, shard] : shards) {
    const SafetensorsFile* file = opened.at(shard);
    if (!file->tensors().contains(name)) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' is missing, though {} places it here",
                  file->path().string(), name, kIndex);
    }
    tensors_.emplace(name, file);
  }
  for (const auto& file : files_) {
    for (const auto& [name, info] : file->tensors()) {
      const auto found = tensors_.find(name);
      if (found == tensors_.end() || found->second != file.get()) {
        throw Error(ErrorKind::kInput, "{}: holds tensor '{}', which {} {}", file->path().string(),
                    name, kIndex,
                    found == tensors_.end() ? "does not name" : "places in another shard");
      }
    }
  }
}

}  // namespace charm::tensor
