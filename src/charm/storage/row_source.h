#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct ArrowArrayStream;  // of the Arrow C data interface

namespace charm::storage {

class RowView;

enum class RowOutcome {
  kRow,  ///< an object was read
  kBad,  ///< this row is invalid; the next ones may be valid
  kEnd,
};

/// Rows of one file. Throws charm::Error if the file cannot be read any further. Not thread-safe.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// The row points into this source. On kBad, `problem` describes the error.
  virtual RowOutcome next(RowView& row, std::string& problem) = 0;
  /// Of the row last returned: "file:line" or "file, row N".
  virtual std::string location() const = 0;
};

/// JSONL or a JSON array, depending on the first character that is not white space.
std::unique_ptr<RowSource> open_json_rows(const std::filesystem::path& file);

/// JSON lines in memory; `name` stands for the file in messages.
std::unique_ptr<RowSource> open_json_text(std::string text, std::string name);

/// Rows that another library of this process holds. Takes the stream over: releases it at the end.
std::unique_ptr<RowSource> open_arrow_stream(ArrowArrayStream& stream, std::string name);

enum class ColumnarFormat { kParquet, kArrowStream, kArrowFile };

/// Detected from the magic bytes; empty if the file is neither Parquet nor Arrow. Throws kIo, and
/// kInput for an empty file.
std::optional<ColumnarFormat> columnar_format_of(const std::filesystem::path& file);

/// Reads those of `columns` (empty: all) that the file has.
std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file,
                                              ColumnarFormat format,
                                              const std::vector<std::string>& columns);

/// Detects the format from the magic bytes. Throws kInput for an empty file or an unknown format.
std::unique_ptr<RowSource> open_row_source(const std::filesystem::path& file,
                                           const std::vector<std::string>& columns);

/// Whether a file is CSV or TSV by its name, gzipped or not.
bool is_csv(const std::filesystem::path& file);

/// Rows of a CSV file with a header, whose fields have no type (ValueKind::kField). Read by Arrow:
/// quotes as in RFC 4180, line breaks within them, a byte order mark. Throws kInput naming a row
/// with another number of fields.
std::unique_ptr<RowSource> open_csv_rows(const std::filesystem::path& file);

/// One file of a dataset, and the policy name of its rows if they have no policy column.
struct DataFile {
  std::filesystem::path path;
  std::string policy_name;
  /// Columns in the names of hive folders: {"policy", "gemma"} of `policy=gemma/part-0.parquet`.
  std::vector<std::pair<std::string, std::string>> partition{};
};

/// The files of a dataset in reading order: a single file itself; for a folder the shards listed in
/// its state.json, or its data files by name, also in subfolders `column=value`. Files and folders
/// that begin with `_` or `.` are ignored. Throws kIo if nothing exists there, kInput if the folder
/// is not a dataset or the split is missing, empty or required.
std::vector<DataFile> data_files_of(const std::filesystem::path& path,
                                    const std::optional<std::string>& split);

}  // namespace charm::storage
