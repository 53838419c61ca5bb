#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/weights_folder.h"

namespace charm::engine {

// The format of torch.save since PyTorch 1.6: a zip archive with stored entries <root>/data.pkl, a
// pickle of a dict from names to tensors, and <root>/data/<key>, the storages' bytes.

/// One memory-mapped file of torch.save (pytorch_model.bin). The pickle is data: nothing of it is
/// ever run. Immutable; thread-safe.
class TorchFile final : public WeightsFile {
 public:
  /// Throws kInput naming the file and what it holds beyond tensors, kIo when it cannot be opened.
  explicit TorchFile(const std::filesystem::path& path);
};

// Its two layers.

/// The byte range of one entry, counted from the start of the archive.
struct ZipEntry {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The entries of a zip archive by name (PKWARE's APPNOTE 6.3, zip64 included), stored ones only.
/// Throws kInput naming `file` for a truncated archive, an entry outside of it, a compressed or
/// encrypted entry, a name that occurs twice.
std::map<std::string, ZipEntry> read_zip_directory(std::string_view archive,
                                                   const std::string& file);

/// One object of a pickle. Objects refer to each other by their place in `Pickle::values`, so that
/// nothing recurses.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,
    kInteger,
    kText,
    kTuple,
    kList,
    kDict,        ///< `items` alternates keys and values; collections.OrderedDict too
    kGlobal,      ///< `text` is "module.name"
    kCall,        ///< `text` is the name of the function, `items` are its arguments; never run
    kPersistent,  ///< `items` holds the persistent id
  };
  Kind kind = Kind::kNone;
  std::int64_t integer = 0;  ///< of a kBool or kInteger
  std::string text{};
  std::vector<std::uint32_t> items{};
};

struct Pickle {
  std::vector<PickleValue> values;
  std::uint32_t root = 0;
};

/// Reads the few operations that torch.save (1.6 to 2.x) writes for dicts of tensors. Nothing is
/// imported or called: a function of `functions` gives a kCall, a class of `classes` a kGlobal.
/// Throws kInput naming `file` and the operation, class or function for anything else, and for a
/// truncated pickle.
Pickle read_pickle(std::string_view bytes, std::span<const std::string_view> functions,
                   std::span<const std::string_view> classes, const std::string& file);

}  // namespace charm::engine
