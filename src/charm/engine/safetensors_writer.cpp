#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/safetensors.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// The header with its length in front, padded with spaces so that the data begins at a multiple
/// of 8.
std::string make_header(const NamedTensors& tensors, const std::vector<DType>& dtypes,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    if (header.contains(name))
      throw Error(ErrorKind::kInternal, "write_safetensors: tensor '{}' is given twice", name);
    const std::size_t bytes = static_cast<std::size_t>(tensor.numel()) * element_bytes(dtypes[i]);
    header[name] = {{"dtype", safetensors_dtype_name(dtypes[i])},
                    {"shape", tensor.shape()},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = tensors.empty() && metadata.empty() ? "{}" : header.dump();
  while (text.size() % 8 != 0) text += ' ';
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return length + text;
}

class OutputFile {
 public:
  explicit OutputFile(const fs::path& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0)
      throw Error(ErrorKind::kIo, "{}: cannot create: {}", path.string(), std::strerror(errno));
  }
  ~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const char* bytes, std::size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(fd_, bytes, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        throw Error(ErrorKind::kIo, "{}: cannot write: {}", path_.string(), std::strerror(errno));
      bytes += written;
      size -= static_cast<std::size_t>(written);
    }
  }

 private:
  fs::path path_;
  int fd_ = -1;
};

}  // namespace

void write_safetensors(const fs::path& path, const NamedTensors& tensors,
                       const std::vector<DType>& dtypes,
                       const std::map<std::string, std::string>& metadata) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  const fs::path partial = partial_path(path);
  try {
    OutputFile file(partial);
    const std::string header = make_header(tensors, dtypes, metadata);
    file.write(header.data(), header.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Tensor values = tensors[i].second.to(dtypes[i]);
      file.write(reinterpret_cast<const char*>(values.bytes()), values.nbytes());
    }
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
  publish(partial, path);
}

void write_safetensors(const fs::path& path, const NamedTensors& tensors, DType dtype,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, tensors, std::vector<DType>(tensors.size(), dtype), metadata);
}

void write_safetensors(const fs::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<DType> dtypes;
  for (const auto& [name, tensor] : tensors) dtypes.push_back(tensor.dtype());
  write_safetensors(path, tensors, dtypes, metadata);
}

}  // namespace charm::engine
