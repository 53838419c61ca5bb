#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace charm {
class OptionTable;
}

namespace charm::storage {

/// Columns that have other names in a file than docs/data-formats.md lists; empty: one of those.
struct ColumnNames {
  std::optional<std::string> prompt = std::nullopt;
  std::optional<std::string> response = std::nullopt;
  std::optional<std::string> policy = std::nullopt;
  bool any() const { return prompt || response || policy; }
};

/// How a data file is read. By default the first invalid row is an error.
struct ReadOptions {
  /// Invalid rows to skip (the first is reported); one more is an error.
  std::int64_t max_bad_rows = 0;
  /// Split of a DatasetDict or of a folder of shards; required if there are several.
  std::optional<std::string> split = std::nullopt;
  /// Overrides the policy of every row.
  std::optional<std::string> policy = std::nullopt;
  /// A row without one of these columns is invalid.
  ColumnNames columns = {};
};

/// Throws kUsage if a file is given twice, also through links: its rows would count twice.
void require_each_once(std::span<const std::filesystem::path> files);

/// `--max-bad-rows` and `--split`.
void describe_reading(OptionTable& table, ReadOptions& options);

/// `--prompt-column`, for files of prompts.
void describe_prompt_column(OptionTable& table, ColumnNames& columns);
/// That, `--response-column` and `--policy-column`, for files of responses and scores.
void describe_columns(OptionTable& table, ColumnNames& columns);

}  // namespace charm::storage
