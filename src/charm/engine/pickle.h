#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm::engine {

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
