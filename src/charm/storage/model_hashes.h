#pragma once

#include <filesystem>
#include <string>

namespace charm::storage {

/// SHA-256 of what a model folder holds; each file is read once.
struct ModelHashes {
  std::string folder;     ///< of all files, as `sha256_of_path`
  std::string model;      ///< of config.json and the safetensors files
  std::string tokenizer;  ///< of tokenizer.json: what `sha256sum tokenizer.json` prints
};

ModelHashes hash_model(const std::filesystem::path& model_dir);

}  // namespace charm::storage
