#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "charm/storage/row_source.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace charm::storage {

/// Record batches of one Parquet or Arrow file. Everything Arrow and Parquet report or throw
/// becomes charm::Error naming the file. Not thread-safe.
class ArrowBatches {
 public:
  /// Reads those of `columns` (empty: all) that the file has.
  ArrowBatches(std::filesystem::path file, ColumnarFormat format, std::vector<std::string> columns);
  /// Batches of another library; `name` stands for the file in messages. Takes the stream over.
  ArrowBatches(ArrowArrayStream& stream, std::string name);
  ~ArrowBatches();

  /// Of all columns, also those that are not read.
  const arrow::Schema& schema() const;

  /// Null at the end. Of IPC files, which may be corrupt in ways that Parquet's are not, everything
  /// but UTF-8 is validated.
  std::shared_ptr<arrow::RecordBatch> next();

 private:
  struct Reader;
  std::filesystem::path file_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace charm::storage
