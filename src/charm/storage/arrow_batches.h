#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/records.h"
#include "charm/storage/read_options.h"
#include "charm/storage/row_source.h"

namespace arrow {
class RecordBatch;
}

namespace charm::storage {

/// Record batches of one Parquet or Arrow file. Everything Arrow and Parquet report or throw
/// becomes charm::Error naming the file. Not thread-safe.
class ArrowBatches {
 public:
  /// Reads those of `columns` (empty: all) that the file has; Arrow IPC files yield all columns
  /// regardless.
  ArrowBatches(std::filesystem::path file, ColumnarFormat format, std::vector<std::string> columns);
  ~ArrowBatches();

  /// Null at the end.
  std::shared_ptr<arrow::RecordBatch> next();

 private:
  struct Reader;
  std::filesystem::path file_;
  std::unique_ptr<Reader> reader_;
};

/// Whether a column is requested; an empty list requests all.
bool is_wanted(const std::vector<std::string>& columns, const std::string& name);

/// Reads scores of columnar files directly from their columns, about ten times faster than through
/// JSON rows. Empty if a file is not columnar, lacks prompt_id or score, has other column types
/// than the writers use, or has an invalid row or a repeated key; the row reader then reports
/// those.
std::optional<std::vector<Score>> read_score_columns(const std::filesystem::path& path,
                                                     const ReadOptions& options);

}  // namespace charm::storage
