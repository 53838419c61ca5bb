#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace charm::storage {

/// How a data file is read. The defaults refuse the first row that cannot be used.
struct ReadOptions {
  std::int64_t max_bad_rows = 0;      ///< rows that may be left out (each is named); one more ends the command
  std::optional<std::string> split;   ///< which split of a DatasetDict or of a folder of shards; needed when there are several
  std::optional<std::string> policy;  ///< policy of every row, instead of the column's or the file name's
};

}  // namespace charm::storage
