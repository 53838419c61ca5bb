#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/tensor.h"

namespace charm {
class MappedFile;
}

namespace charm::engine {

/// Dtype, shape and byte range of one tensor.
struct TensorInfo {
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;              ///< first byte, counted from the start of the file
  std::size_t end = 0;                ///< one past the last byte
  std::vector<std::int64_t> strides;  ///< in elements; empty: contiguous
};

/// One memory-mapped file of tensors, fully validated when opened. Immutable; thread-safe.
class WeightsFile {
 public:
  virtual ~WeightsFile() = default;
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }

  /// A contiguous tensor over the mapped bytes, which must not be written, or a copy where they are
  /// not contiguous; it keeps the mapping alive. CPU, stored dtype.
  /// Throws kInput for a name that the file does not have.
  Tensor view(const std::string& name) const;

 protected:
  /// Maps the file; the derived class fills `tensors_`.
  explicit WeightsFile(std::filesystem::path path);

  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorInfo> tensors_;
};

/// Opens a safetensors file or, by the extensions .bin, .pt and .pth, one of torch.save. Throws
/// kInput naming the file and the tensor, kIo when the file cannot be opened.
std::unique_ptr<WeightsFile> open_weights_file(const std::filesystem::path& path);

/// Releases the resident pages of a tensor that `WeightsFile::view` made (madvise); a later read
/// faults them in from the file again. No effect on other tensors.
void release_pages(const Tensor& tensor);

/// Rows of a tensor seen as a matrix whose rows are as long as its last dimension: `count` blocks
/// of `rows` rows, `stride` apart.
struct RowBlocks {
  std::int64_t first = 0, rows = 0, stride = 0, count = 1;
};

/// A tensor of a folder, or rows of one: the file that holds it, and its name there.
struct StoredTensor {
  const WeightsFile* file = nullptr;
  std::string name;
  std::optional<RowBlocks> part{};  ///< of a fused tensor; none: all of it

  DType dtype() const { return info().dtype; }
  std::vector<std::int64_t> shape() const;
  /// As WeightsFile::view; a copy where the rows are in several blocks.
  Tensor view() const;

 private:
  const TensorInfo& info() const { return file->tensors().at(name); }
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
