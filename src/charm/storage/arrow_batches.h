#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "charm/storage/row_source.h"

namespace arrow {
class RecordBatch;
}

namespace charm::storage {

/// Record batches of one Parquet or Arrow file. Everything Arrow and Parquet report or throw
/// becomes charm::Error naming the file. Not thread-safe.
class ArrowBatches {
 public:
  /// Of `columns` (empty: all) those that the file has are read; Arrow IPC files give all their
  /// columns regardless.
  ArrowBatches(std::filesystem::path file, ColumnarFormat format, std::vector<std::string> columns);
  ~ArrowBatches();

  /// Null at the end.
  std::shared_ptr<arrow::RecordBatch> next();

 private:
  struct Reader;
  std::filesystem::path file_;
  std::unique_ptr<Reader> reader_;
};

/// Whether a column of this name was asked for; an empty list asks for all.
bool is_wanted(const std::vector<std::string>& columns, const std::string& name);

}  // namespace charm::storage
