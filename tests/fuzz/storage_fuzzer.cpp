#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "charm/base/files.h"
#include "tests/fuzz/storage_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const charm::fs::path kFile =
      charm::fs::temp_directory_path() / ("charm-fuzz-" + std::to_string(::getpid()));
  charm::fuzz::read_as_everything(kFile, {reinterpret_cast<const char*>(data), size});
  return 0;
}
