#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace charm::storage {

enum class RowOutcome {
  kRow,  ///< a JSON value was read
  kBad,  ///< this row cannot be read, the next ones may be
  kEnd,
};

/// Rows of one file. Throws charm::Error when the file as a whole cannot be read on. Not
/// thread-safe.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// On kBad, `problem` says what is wrong with the row.
  virtual RowOutcome next(nlohmann::json& row, std::string& problem) = 0;
  /// Of the row last returned: "file:line" or "file, row N".
  virtual std::string location() const = 0;
};

/// JSONL or a JSON array, told apart by the first character that is not white space.
std::unique_ptr<RowSource> open_json_rows(const std::filesystem::path& file);

enum class ColumnarFormat { kParquet, kArrowStream, kArrowFile };

/// Told from the first bytes; empty where they are no Parquet or Arrow file's. Throws kIo, and
/// kInput for an empty file.
std::optional<ColumnarFormat> columnar_format_of(const std::filesystem::path& file);

/// Of `columns` (empty: all) those that the file has.
std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file,
                                              ColumnarFormat format,
                                              const std::vector<std::string>& columns);

/// Looks at the first bytes and opens the file with the right source. Throws kInput for an empty
/// file or an unknown format.
std::unique_ptr<RowSource> open_row_source(const std::filesystem::path& file,
                                           const std::vector<std::string>& columns);

}  // namespace charm::storage
