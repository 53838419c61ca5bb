#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace charm {

/// One report of a running stage. `total` is 0 while unknown.
struct Progress {
  std::string what;  ///< "scoring", "training", ...
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string unit;    ///< "rows", "steps", ...
  std::string detail;  ///< free text shown behind the bar: "412 tokens/s", "loss 0.61"
};

/// Stages report through this; the command line decides how it looks. May be empty. Called from one thread at a time.
using ProgressFn = std::function<void(const Progress&)>;

}  // namespace charm
