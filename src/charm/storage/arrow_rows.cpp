#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/storage/arrow_value.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

[[noreturn]] void throw_status(const std::filesystem::path& file, const arrow::Status& status) {
  // What Arrow calls an I/O error includes corrupt files; the errno detail is present only for real ones.
  const bool io = status.IsIOError() && status.detail() != nullptr;
  const ErrorKind kind = status.IsOutOfMemory() ? ErrorKind::kResource : io ? ErrorKind::kIo : ErrorKind::kInput;
  throw Error(kind, "{}: cannot be read as Parquet or Arrow: {}", file.string(), status.message());
}

template <typename T>
T value_or_throw(const std::filesystem::path& file, arrow::Result<T> result) {
  if (!result.ok()) throw_status(file, result.status());
  return std::move(result).ValueUnsafe();
}

void check(const std::filesystem::path& file, const arrow::Status& status) {
  if (!status.ok()) throw_status(file, status);
}

bool wanted(const std::vector<std::string>& columns, const std::string& name) {
  return columns.empty() || std::find(columns.begin(), columns.end(), name) != columns.end();
}

// Batches of one file, whichever of the three formats it has. Parquet's library throws std exceptions of its own beside
// statuses; ColumnarRows turns them into ours.
class Batches {
 public:
  Batches(std::filesystem::path file, ColumnarFormat format, const std::vector<std::string>& columns)
      : file_(std::move(file)), input_(value_or_throw(file_, arrow::io::ReadableFile::Open(file_.string()))) {
    switch (format) {
      case ColumnarFormat::kParquet: open_parquet(columns); break;
      case ColumnarFormat::kArrowStream:
        stream_ = value_or_throw(file_, arrow::ipc::RecordBatchStreamReader::Open(input_));
        break;
      case ColumnarFormat::kArrowFile:
        ipc_file_ = value_or_throw(file_, arrow::ipc::RecordBatchFileReader::Open(input_));
        break;
    }
  }

  // Null at the end.
  std::shared_ptr<arrow::RecordBatch> next() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (ipc_file_ != nullptr) {
      if (next_ipc_batch_ < ipc_file_->num_record_batches()) {
        batch = value_or_throw(file_, ipc_file_->ReadRecordBatch(next_ipc_batch_++));
      }
    } else {
      check(file_, stream_->ReadNext(&batch));
    }
    // Offsets of a damaged file may point anywhere: they are checked before any value is read.
    if (batch != nullptr) check(file_, batch->Validate());
    return batch;
  }

 private:
  void open_parquet(const std::vector<std::string>& columns) {
    parquet::arrow::FileReaderBuilder builder;
    check(file_, builder.Open(input_));
    builder.properties(parquet::ArrowReaderProperties(/*use_threads=*/false));
    check(file_, builder.Build(&parquet_));
    std::shared_ptr<arrow::Schema> schema;
    check(file_, parquet_->GetSchema(&schema));
    std::vector<int> leaves;
    const auto& descriptor = *parquet_->parquet_reader()->metadata()->schema();
    for (int leaf = 0; leaf < descriptor.num_columns(); ++leaf) {
      if (wanted(columns, descriptor.GetColumnRoot(leaf)->name())) leaves.push_back(leaf);
    }
    std::vector<int> row_groups(static_cast<std::size_t>(parquet_->num_row_groups()));
    for (std::size_t g = 0; g < row_groups.size(); ++g) row_groups[g] = static_cast<int>(g);
    stream_ = value_or_throw(file_, parquet_->GetRecordBatchReader(row_groups, leaves));
  }

  std::filesystem::path file_;
  std::shared_ptr<arrow::io::ReadableFile> input_;
  std::unique_ptr<parquet::arrow::FileReader> parquet_;
  std::shared_ptr<arrow::RecordBatchReader> stream_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> ipc_file_;
  int next_ipc_batch_ = 0;
};

class ColumnarRows : public RowSource {
 public:
  ColumnarRows(const std::filesystem::path& file, ColumnarFormat format, std::vector<std::string> columns)
      : file_(file), columns_(std::move(columns)) {
    guarded([&] { batches_ = std::make_unique<Batches>(file, format, columns_); });
  }

  RowOutcome next(nlohmann::json& row, std::string& problem) override {
    while (batch_ == nullptr || index_ == batch_->num_rows()) {
      guarded([&] { batch_ = batches_->next(); });
      index_ = 0;
      if (batch_ == nullptr) return RowOutcome::kEnd;
    }
    ++row_;
    const std::int64_t index = index_++;
    if (!row.is_object()) row = nlohmann::json::object();
    for (int k = 0; k < batch_->num_columns(); ++k) {
      const std::string& name = batch_->schema()->field(k)->name();
      if (!wanted(columns_, name)) continue;
      try {
        row[name] = json_value(*batch_->column(k), index);
      } catch (const Error& e) {
        problem = fmt::format("column '{}': {}", name, e.message());
        return RowOutcome::kBad;
      }
    }
    return RowOutcome::kRow;
  }

  std::string location() const override { return fmt::format("{}, row {}", file_.string(), row_); }

 private:
  template <typename Body>
  void guarded(const Body& body) {
    try {
      body();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& e) {
      throw Error(ErrorKind::kInput, "{}: cannot be read as Parquet or Arrow: {}", file_.string(), e.what());
    }
  }

  std::filesystem::path file_;
  std::vector<std::string> columns_;
  std::unique_ptr<Batches> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t index_ = 0;
  std::int64_t row_ = 0;
};

}  // namespace

std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file, ColumnarFormat format,
                                              const std::vector<std::string>& columns) {
  return std::make_unique<ColumnarRows>(file, format, columns);
}

}  // namespace charm::storage
