
#include <vector>

#include "charm/engine/safetensors.h"
#include "charm/engine/torch_file.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {

bool torch_file_property(std::string_view bytes) {
  return accepts([&] {
    const engine::TorchFile file(scratch_file("model.bin", bytes));
    std::vector<std::pair<std::string, engine::Tensor>> tensors;
    for (const auto& [name, info] : file.tensors()) {
      // A stride of 0 repeats elements: a few bytes may stand for more than the memory holds.
      double count = 1.0;
      for (const std::int64_t extent : info.shape) count *= static_cast<double>(extent);
      if (count > 1e6) continue;
      tensors.emplace_back(name, file.view(name));
      require(tensors.back().second.shape() == info.shape, "the view has the file's shape");
    }
    const std::filesystem::path copy = scratch_folder() / "copy.safetensors";
    engine::write_safetensors(copy, tensors);
    const engine::SafetensorsFile written(copy);
    for (const auto& [name, values] : tensors) {
      const engine::Tensor again = written.view(name);
      const std::string_view first(reinterpret_cast<const char*>(values.bytes()), values.nbytes());
      const std::string_view second(reinterpret_cast<const char*>(again.bytes()), again.nbytes());
      require(first == second, "writing keeps every tensor");
    }
  });
}

}  // namespace charm::fuzz
