#include "charm/engine/plugin.h"

#include <dlfcn.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/engine/plugin_interface.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPluginFile = "libcharm_torch.so";

/// The folder of the program, and of the library that this code is in where it is another.
std::vector<fs::path> own_folders() {
  std::vector<fs::path> folders;
  std::error_code ignored;
  Dl_info here{};
  if (dladdr(reinterpret_cast<const void*>(&own_folders), &here) != 0 &&
      here.dli_fname != nullptr && fs::path(here.dli_fname).extension() == ".so")
    folders.push_back(fs::canonical(here.dli_fname, ignored).parent_path());
  folders.push_back(fs::read_symlink("/proc/self/exe", ignored).parent_path());
  return folders;
}

std::vector<fs::path> plugin_places() {
  if (const char* given = std::getenv("CHARM_TORCH_PLUGIN"); given != nullptr && *given != '\0')
    return {given};
  std::vector<fs::path> places;
  for (const fs::path& folder : own_folders()) {
    places.push_back(folder / kPluginFile);
    places.push_back(folder.parent_path() / "lib" / kPluginFile);
  }
  return places;
}

/// The place named in the environment even where nothing is: loading it then says so.
std::optional<fs::path> find_plugin() {
  const std::vector<fs::path> places = plugin_places();
  if (places.size() == 1) return places.front();
  std::error_code ignored;
  for (const fs::path& place : places) {
    if (fs::exists(place, ignored)) return place;
  }
  return std::nullopt;
}

std::vector<std::string> places_as_text() {
  std::vector<std::string> texts;
  for (const fs::path& place : plugin_places()) texts.push_back(place.string());
  return texts;
}

void* symbol_of(void* library, const fs::path& path, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol != nullptr) return symbol;
  throw Error(ErrorKind::kResource, "{}: exports no {}: not the GPU back end of charm",
              path.string(), name);
}

/// For kAuto. Without the driver's library LibTorch is not loaded in vain.
const DeviceBackend* present_gpu(const fs::path& path) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return nullptr;
  dlclose(driver);
  try {
    const DeviceBackend& backend = load_plugin(path);
    return backend.has_gpu() ? &backend : nullptr;
  } catch (const Error& error) {
    log::warning("{}", error.message());
    return nullptr;
  }
}

}  // namespace

const DeviceBackend& load_plugin(const fs::path& path) {
  // A path with a slash, or dlopen would search the system's folders.
  void* library = dlopen(fs::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorKind::kResource,
                "the GPU back end cannot be loaded: {}; build it with cmake --preset cuda, or use "
                "--device cpu",
                dlerror());
  }
  const auto interface =
      reinterpret_cast<PluginInterfaceFunction*>(symbol_of(library, path, kPluginInterfaceSymbol));
  if (const std::string_view found = interface(); found != kPluginInterface) {
    throw Error(ErrorKind::kResource,
                "{}: was built for charm {}, this is charm {}; build it from the same sources "
                "(cmake --preset cuda), or use --device cpu",
                path.string(), found, kPluginInterface);
  }
  const auto backend =
      reinterpret_cast<PluginBackendFunction*>(symbol_of(library, path, kPluginBackendSymbol));
  return *backend(static_cast<int>(log::level()));
}

const DeviceBackend* gpu_backend(DeviceChoice choice) {
  if (choice == DeviceChoice::kCpu) return nullptr;
  const std::optional<fs::path> path = find_plugin();
  if (choice == DeviceChoice::kAuto) return path ? present_gpu(*path) : nullptr;
  if (!path) {
    throw Error(
        ErrorKind::kResource,
        "--device cuda: the GPU back end {} was not found in {}; build it with cmake --preset "
        "cuda, name it in CHARM_TORCH_PLUGIN, or use --device cpu",
        kPluginFile, fmt::join(places_as_text(), ", "));
  }
  const DeviceBackend& backend = load_plugin(*path);
  if (backend.has_gpu()) return &backend;
  throw Error(
      ErrorKind::kResource,
      "--device cuda: no GPU is visible to {} (no driver, CUDA_VISIBLE_DEVICES hides it, or "
      "it was built without CUDA: cmake preset cuda); use --device cpu",
      path->string());
}

}  // namespace charm::engine
