#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "charm/engine/weights_file.h"

namespace charm {
class MappedFile;
}

namespace charm::engine {

// The format of torch.save since PyTorch 1.6: a zip archive with stored entries <root>/data.pkl, a
// pickle of a dict from names to tensors, and <root>/data/<key>, the storages' bytes.

/// One memory-mapped file of torch.save (pytorch_model.bin). The pickle is data: nothing of it is
/// ever run. Immutable; thread-safe.
class TorchFile final : public WeightsFile {
 public:
  /// Throws kInput naming the file and what it holds beyond tensors, kIo when it cannot be opened.
  explicit TorchFile(const std::filesystem::path& path);

  Tensor view(const std::string& name) const override;

 private:
  std::shared_ptr<const MappedFile> file_;
};

}  // namespace charm::engine
