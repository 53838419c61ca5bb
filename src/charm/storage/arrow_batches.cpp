#include "charm/storage/arrow_batches.h"

#include <arrow/array.h>
#include <arrow/c/bridge.h>
#include <arrow/extension_type.h>
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

bool is_wanted(const std::vector<std::string>& columns, const std::string& name) {
  return columns.empty() || std::find(columns.begin(), columns.end(), name) != columns.end();
}

// The type with binary in place of texts, so that validating it does not check UTF-8: that is an
// error of its row, not of the file.
std::shared_ptr<arrow::DataType> without_utf8(const std::shared_ptr<arrow::DataType>& type) {
  const auto field = [&](int k) {
    const auto& child = type->field(k);
    return child->WithType(without_utf8(child->type()));
  };
  switch (type->id()) {
    case arrow::Type::STRING:
      return arrow::binary();
    case arrow::Type::LARGE_STRING:
      return arrow::large_binary();
    case arrow::Type::STRING_VIEW:
      return arrow::binary_view();
    case arrow::Type::LIST:
      return arrow::list(field(0));
    case arrow::Type::LARGE_LIST:
      return arrow::large_list(field(0));
    case arrow::Type::LIST_VIEW:
      return arrow::list_view(field(0));
    case arrow::Type::LARGE_LIST_VIEW:
      return arrow::large_list_view(field(0));
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          field(0), static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (int k = 0; k < type->num_fields(); ++k) fields.push_back(field(k));
      return arrow::struct_(fields);
    }
    case arrow::Type::RUN_END_ENCODED:
      return arrow::run_end_encoded(type->field(0)->type(), field(1)->type());
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
      return arrow::dictionary(dictionary.index_type(), without_utf8(dictionary.value_type()),
                               dictionary.ordered());
    }
    case arrow::Type::EXTENSION:
      return without_utf8(static_cast<const arrow::ExtensionType&>(*type).storage_type());
    default:
      return type;
  }
}

std::shared_ptr<arrow::ArrayData> with_type(const arrow::ArrayData& data,
                                            const std::shared_ptr<arrow::DataType>& type) {
  auto copy = data.Copy();
  copy->type = type;
  const bool has_fields = type->num_fields() == static_cast<int>(copy->child_data.size());
  for (std::size_t k = 0; has_fields && k < copy->child_data.size(); ++k)
    copy->child_data[k] = with_type(*copy->child_data[k], type->field(static_cast<int>(k))->type());
  if (type->id() == arrow::Type::DICTIONARY) {
    copy->dictionary =
        with_type(*copy->dictionary, static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  return copy;
}

arrow::Status validate_structure(const arrow::Array& column) {
  return arrow::MakeArray(with_type(*column.data(), without_utf8(column.type())))->ValidateFull();
}

}  // namespace

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
        stream_ = open_ipc<arrow::ipc::RecordBatchStreamReader>(columns);
        break;
      case ColumnarFormat::kArrowFile:
        ipc_file_ = open_ipc<arrow::ipc::RecordBatchFileReader>(columns);
        break;
    }
  }

  Reader(std::string name, ArrowArrayStream& stream)
      : file_(std::move(name)),
        stream_(value_or_throw(file_, arrow::ImportRecordBatchReader(&stream))) {
    schema_ = stream_->schema();
  }

  const arrow::Schema& schema() const { return *schema_; }

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
    if (batch != nullptr && parquet_ == nullptr) {
      check(file_, batch->Validate());
      for (const auto& column : batch->columns()) check(file_, validate_structure(*column));
    }
    return batch;
  }

 private:
  // The columns are known only once the file is open.
  template <typename IpcReader>
  std::shared_ptr<IpcReader> open_ipc(const std::vector<std::string>& columns) {
    const std::shared_ptr<IpcReader> whole = value_or_throw(file_, IpcReader::Open(input_));
    schema_ = whole->schema();
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    for (int k = 0; k < schema_->num_fields(); ++k) {
      if (is_wanted(columns, schema_->field(k)->name())) options.included_fields.push_back(k);
    }
    check(file_, input_->Seek(0));
    return value_or_throw(file_, IpcReader::Open(input_, options));
  }

  void open_parquet(const std::vector<std::string>& columns) {
    parquet::arrow::FileReaderBuilder builder;
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);  // if the file has checksums, as ours do
    check(file_, builder.Open(input_, properties));
    parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
    arrow_properties.set_arrow_extensions_enabled(true);  // JSON and UUIDs by their annotation
    builder.properties(arrow_properties);
    check(file_, builder.Build(&parquet_));
    check(file_, parquet_->GetSchema(&schema_));
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
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileReader> parquet_;
  std::shared_ptr<arrow::RecordBatchReader> stream_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> ipc_file_;
  int next_ipc_batch_ = 0;
};

ArrowBatches::ArrowBatches(std::filesystem::path file, ColumnarFormat format,
                           std::vector<std::string> columns)
    : file_(std::move(file)),
      reader_(guarded(file_, [&] { return std::make_unique<Reader>(file_, format, columns); })) {}

ArrowBatches::ArrowBatches(ArrowArrayStream& stream, std::string name)
    : file_(name),
      reader_(guarded(file_, [&] { return std::make_unique<Reader>(std::move(name), stream); })) {}

ArrowBatches::~ArrowBatches() = default;

const arrow::Schema& ArrowBatches::schema() const { return reader_->schema(); }

std::shared_ptr<arrow::RecordBatch> ArrowBatches::next() {
  return guarded(file_, [&] { return reader_->next(); });
}

}  // namespace charm::storage
