#include "charm/storage/model_hashes.h"

#include <utility>
#include <vector>

#include "charm/storage/manifest.h"

namespace charm::storage {

ModelHashes hash_model(const std::filesystem::path& model_dir) {
  const auto files = hash_files(model_dir);
  ModelHashes hashes;
  hashes.folder = sha256_of_hashes(files);
  std::vector<std::pair<std::string, std::string>> model;
  for (const auto& [name, hash] : files) {
    if (name == "tokenizer.json") hashes.tokenizer = hash;
    const bool is_weights =
        name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
    if (name == "config.json" || is_weights) model.emplace_back(name, hash);
  }
  hashes.model = sha256_of_hashes(model);
  return hashes;
}

}  // namespace charm::storage
