#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace charm::storage {

/// How a data file is read. The defaults refuse the first row that cannot be used.
struct ReadOptions {
  /// Rows that may be left out (the first is named); one more ends the command.
  std::int64_t max_bad_rows = 0;
  /// Which split of a DatasetDict or of a folder of shards; needed when there are several.
  std::optional<std::string> split = std::nullopt;
  /// Policy of every row, instead of the column's or the file name's.
  std::optional<std::string> policy = std::nullopt;
};

}  // namespace charm::storage
