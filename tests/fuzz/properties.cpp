#include "tests/fuzz/properties.h"

#include <unistd.h>

#include <fstream>

namespace charm::fuzz {
namespace {

namespace fs = std::filesystem;

struct Scratch {
  fs::path path;

  Scratch() {
    const fs::path memory = "/dev/shm";
    path = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) /
           ("charm-fuzz-" + std::to_string(::getpid()));
    fs::create_directories(path);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

void require(bool holds, std::string_view what) {
  if (!holds) throw Broken(std::string(what));
}

const fs::path& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

fs::path scratch_file(std::string_view name, std::string_view bytes) {
  fs::path path = scratch_folder() / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

}  // namespace charm::fuzz
