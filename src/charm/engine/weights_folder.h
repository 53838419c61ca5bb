#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/weights_file.h"

namespace charm::engine {

/// A tensor of a folder: the file that holds it, and its name there.
struct StoredTensor {
  const WeightsFile* file = nullptr;
  std::string name;

  const TensorInfo& info() const { return file->tensors().at(name); }
  Tensor view() const { return file->view(name); }
};

/// Whether the folder holds a model's weights under one of the usual names.
bool has_weights(const std::filesystem::path& folder);

/// The weights of a model folder, in transformers' order of preference: `model.safetensors`, the
/// shards of `model.safetensors.index.json`, `pytorch_model.bin`, the shards of its index (each
/// tensor must be in the shard the index names, and in no other). Wrappers of training frameworks
/// are removed from names (`module.`, `_orig_mod.`, ...). Immutable but for `add`; thread-safe.
class WeightsFolder {
 public:
  /// @param weights  the file or index to open (config.json's `transformers_weights`); empty: the
  ///                 usual names
  /// Throws kInput when the folder holds no weights, or when index and shards disagree.
  explicit WeightsFolder(const std::filesystem::path& folder, const std::string& weights = "");

  /// Every tensor, by its name without wrappers.
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::vector<std::unique_ptr<WeightsFile>>& files() const { return files_; }
  /// Wrappers that were removed from names.
  const std::set<std::string>& wrappers() const { return wrappers_; }

  /// Adds the tensors of another file, their names preceded by `prefix`. Throws kInput if the
  /// folder has one of them.
  void add(const std::filesystem::path& file, std::string_view prefix = "");

 private:
  void add_tensor(const WeightsFile& file, const std::string& name, std::string_view prefix);
  void open_shards(const std::filesystem::path& index);

  std::vector<std::unique_ptr<WeightsFile>> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::set<std::string> wrappers_;
};

}  // namespace charm::engine
