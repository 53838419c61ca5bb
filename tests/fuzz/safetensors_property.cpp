
#include <algorithm>
#include <cstring>

#include "charm/engine/safetensors.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

using engine::SafetensorsFile;

std::string_view bytes_of(const engine::Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes()};
}

/// Metadata, tensor infos and bytes of a file.
std::string content_of(const SafetensorsFile& file) {
  std::string content;
  for (const auto& [key, value] : file.metadata()) content += key + "=" + value + "\n";
  for (const auto& [name, info] : file.tensors()) {
    const engine::Tensor tensor = file.view(name);
    require(tensor.shape() == info.shape, "the view has the header's shape");
    require(tensor.nbytes() == info.end - info.begin, "the view has the header's bytes");
    content += name + ":" + engine::safetensors_dtype_name(info.dtype);
    for (const std::int64_t extent : info.shape) content += "," + std::to_string(extent);
    content += "\n";
    content += bytes_of(tensor);
  }
  return content;
}

}  // namespace

bool safetensors_property(std::string_view bytes) {
  return accepts([&] {
    const SafetensorsFile file(scratch_file("model.safetensors", bytes));
    std::vector<std::pair<std::string, engine::Tensor>> tensors;
    for (const auto& entry : file.tensors())
      tensors.emplace_back(entry.first, file.view(entry.first));
    const std::filesystem::path copy = scratch_folder() / "copy.safetensors";
    engine::write_safetensors(copy, tensors, file.metadata());
    require(content_of(SafetensorsFile(copy)) == content_of(file), "writing keeps every tensor");
  });
}

}  // namespace charm::fuzz
