#include "charm/storage/arrow_batches.h"

#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <utility>

#include "charm/base/error.h"

namespace charm::storage {
namespace {

[[noreturn]] void throw_status(const std::filesystem::path& file, const arrow::Status& status) {
  // Arrow's I/O errors include corrupt files; only real I/O errors carry an errno detail.
  const bool io = status.IsIOError() && status.detail() != nullptr;
  const ErrorKind kind = status.IsOutOfMemory() ? ErrorKind::kResource
                         : io                   ? ErrorKind::kIo
                                                : ErrorKind::kInput;
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

// The Parquet library also throws std exceptions.
template <typename Body>
auto guarded(const std::filesystem::path& file, const Body& body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(ErrorKind::kInput, "{}: cannot be read as Parquet or Arrow: {}", file.string(),
                e.what());
  }
}

}  // namespace

bool is_wanted(const std::vector<std::string>& columns, const std::string& name) {
  return columns.empty() || std::find(columns.begin(), columns.end(), name) != columns.end();
}

// A reader for any of the three formats.
struct ArrowBatches::Reader {
  Reader(std::filesystem::path file, ColumnarFormat format, const std::vector<std::string>& columns)
      : file_(std::move(file)),
        input_(value_or_throw(file_, arrow::io::ReadableFile::Open(file_.string()))) {
    switch (format) {
      case ColumnarFormat::kParquet:
        open_parquet(columns);
        break;
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
    if (ipc_file_ == nullptr) {
      check(file_, stream_->ReadNext(&batch));
    } else if (next_ipc_batch_ < ipc_file_->num_record_batches()) {
      batch = value_or_throw(file_, ipc_file_->ReadRecordBatch(next_ipc_batch_++));
    }
    // Arrow does not check the offsets of an IPC file, which are arbitrary in a corrupt one; those
    // of Parquet are rebuilt.
    if (batch != nullptr && parquet_ == nullptr) check(file_, batch->ValidateFull());
    return batch;
  }

 private:
  void open_parquet(const std::vector<std::string>& columns) {
    parquet::arrow::FileReaderBuilder builder;
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);  // if the file has checksums, as ours do
    check(file_, builder.Open(input_, properties));
    builder.properties(parquet::ArrowReaderProperties(/*use_threads=*/false));
    check(file_, builder.Build(&parquet_));
    std::vector<int> leaves;
    const auto& descriptor = *parquet_->parquet_reader()->metadata()->schema();
    for (int leaf = 0; leaf < descriptor.num_columns(); ++leaf) {
      if (is_wanted(columns, descriptor.GetColumnRoot(leaf)->name())) leaves.push_back(leaf);
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

ArrowBatches::ArrowBatches(std::filesystem::path file, ColumnarFormat format,
                           std::vector<std::string> columns)
    : file_(std::move(file)),
      reader_(guarded(file_, [&] { return std::make_unique<Reader>(file_, format, columns); })) {}

ArrowBatches::~ArrowBatches() = default;

std::shared_ptr<arrow::RecordBatch> ArrowBatches::next() {
  return guarded(file_, [&] { return reader_->next(); });
}

}  // namespace charm::storage
