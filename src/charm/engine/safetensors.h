#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/engine/weights_folder.h"

namespace charm::engine {

// The safetensors format: 8 bytes little-endian header length N, N bytes of JSON, then the tensors'
// bytes. The JSON maps names to {"dtype", "shape", "data_offsets": [begin, end]} with offsets
// counted from the end of the header, and may hold "__metadata__" (string to string).

/// One memory-mapped safetensors file, fully validated when opened: header length and JSON, known
/// dtypes, byte counts equal to shape times element size, no duplicate names, no overlap, no gap,
/// nothing missing or left over at the end. Immutable; thread-safe.
class SafetensorsFile final : public WeightsFile {
 public:
  /// Throws kInput naming the file and the tensor, kIo when the file cannot be opened.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::map<std::string, std::string> metadata_;
};

/// Writes tensors in the given order, converting each to `dtype` as it is
/// written, so that the extra memory is one tensor. The same tensors give the same bytes. The file
/// is published atomically.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors, DType dtype,
                       const std::map<std::string, std::string>& metadata = {});

/// The same, each tensor in a dtype of its own.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::vector<DType>& dtypes,
                       const std::map<std::string, std::string>& metadata = {});

/// The same, each tensor in the dtype it has.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// "F32", "BF16", ...: the format's name of a dtype. Throws kInternal for one the format does not
/// have.
std::string safetensors_dtype_name(DType dtype);

/// The inverse; empty for a name the format does not have.
std::optional<DType> dtype_of_name(std::string_view name);

}  // namespace charm::engine
