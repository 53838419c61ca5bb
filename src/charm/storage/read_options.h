#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "charm/base/option_table.h"

namespace charm::storage {

/// How a data file is read. By default the first invalid row is an error.
struct ReadOptions {
  /// Invalid rows to skip (the first is reported); one more is an error.
  std::int64_t max_bad_rows = 0;
  /// Split of a DatasetDict or of a folder of shards; required if there are several.
  std::optional<std::string> split = std::nullopt;
  /// Overrides the policy of every row.
  std::optional<std::string> policy = std::nullopt;
};

/// `--max-bad-rows` and `--split`.
void describe_reading(OptionTable& table, ReadOptions& options);

}  // namespace charm::storage
