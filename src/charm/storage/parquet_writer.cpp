#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/table_builder.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <malloc.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/storage/arrow_batches.h"
#include "charm/storage/table.h"

namespace charm::storage {
namespace {

// A row group ends at whichever limit is reached first. A group is in memory beside the rows, so
// the byte limit bounds what writing adds to them.
constexpr std::int64_t kRowsPerGroup = 16384;
constexpr std::size_t kTextBytesPerGroup = std::size_t{4} << 20;

// Arrow's own pool keeps the buffers of a row group, which is as much again as the rows take.
arrow::MemoryPool* memory_pool() { return arrow::system_memory_pool(); }

/// While it lives, malloc returns large buffers to the system when they are freed. Without it glibc
/// serves them from its heap once one of their size was freed, where they leave holes. It makes
/// large allocations slower, so it ends with the writing: with glibc's highest threshold.
class LargeBuffersFromSystem {
 public:
  LargeBuffersFromSystem() { mallopt(M_MMAP_THRESHOLD, 256 << 10); }
  ~LargeBuffersFromSystem() { mallopt(M_MMAP_THRESHOLD, 32 << 20); }
  LargeBuffersFromSystem(const LargeBuffersFromSystem&) = delete;
  LargeBuffersFromSystem& operator=(const LargeBuffersFromSystem&) = delete;
};

void check(const std::filesystem::path& path, const arrow::Status& status) {
  if (status.ok()) return;
  const ErrorKind kind = status.IsIOError()       ? ErrorKind::kIo
                         : status.IsOutOfMemory() ? ErrorKind::kResource
                                                  : ErrorKind::kInternal;
  // The detail is the system's own reason: "[errno 28] No space left on device".
  const std::string reason = status.detail() ? ": " + status.detail()->ToString() : "";
  throw Error(kind, "{}: cannot write Parquet: {}{}", path.string(), status.message(), reason);
}

template <typename T>
T value_or_throw(const std::filesystem::path& path, arrow::Result<T> result) {
  check(path, result.status());
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::DataType> message_type(bool with_members) {
  arrow::FieldVector fields = {arrow::field("role", arrow::utf8()),
                               arrow::field("content", arrow::utf8())};
  if (with_members) fields.push_back(arrow::field("members", arrow::utf8()));
  return arrow::struct_(fields);
}

std::shared_ptr<arrow::DataType> arrow_type(ColumnType type) {
  switch (type) {
    case ColumnType::kText:
      return arrow::utf8();
    case ColumnType::kConversation:
      return arrow::list(message_type(/*with_members=*/false));
    case ColumnType::kMemberConversation:
      return arrow::list(message_type(/*with_members=*/true));
    case ColumnType::kTexts:
      return arrow::list(arrow::utf8());
    case ColumnType::kFloat:
      return arrow::float32();
    case ColumnType::kDouble:
      return arrow::float64();
    case ColumnType::kDoubles:
      return arrow::list(arrow::float64());
    case ColumnType::kCount:
      return arrow::int32();
    case ColumnType::kFlag:
      return arrow::boolean();
  }
  throw Error(ErrorKind::kInternal, "unknown column type {}", static_cast<int>(type));
}

arrow::Status append_conversation(arrow::ListBuilder& lists, const Conversation& conversation) {
  auto& messages = static_cast<arrow::StructBuilder&>(*lists.value_builder());
  auto& roles = static_cast<arrow::StringBuilder&>(*messages.field_builder(0));
  auto& contents = static_cast<arrow::StringBuilder&>(*messages.field_builder(1));
  auto* members = messages.num_children() > 2
                      ? static_cast<arrow::StringBuilder*>(messages.field_builder(2))
                      : nullptr;
  ARROW_RETURN_NOT_OK(lists.Append());
  for (const Message& message : conversation) {
    ARROW_RETURN_NOT_OK(messages.Append());
    ARROW_RETURN_NOT_OK(roles.Append(message.role));
    const bool has_text = !message.content.empty() || has_text_content(message);
    ARROW_RETURN_NOT_OK(has_text ? contents.Append(message.content) : contents.AppendNull());
    if (members == nullptr) continue;
    ARROW_RETURN_NOT_OK(message.members.empty() ? members->AppendNull()
                                                : members->Append(message.members));
  }
  return arrow::Status::OK();
}

arrow::Status append_texts(arrow::ListBuilder& lists, const std::vector<std::string>& texts) {
  ARROW_RETURN_NOT_OK(lists.Append());
  for (const std::string& text : texts) {
    ARROW_RETURN_NOT_OK(static_cast<arrow::StringBuilder&>(*lists.value_builder()).Append(text));
  }
  return arrow::Status::OK();
}

arrow::Status append_doubles(arrow::ListBuilder& lists, const std::vector<double>& values) {
  ARROW_RETURN_NOT_OK(lists.Append());
  return static_cast<arrow::DoubleBuilder&>(*lists.value_builder()).AppendValues(values);
}

arrow::Status append_cell(arrow::ArrayBuilder& builder, ColumnType type, const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) return builder.AppendNull();
  switch (type) {
    case ColumnType::kText:
      return static_cast<arrow::StringBuilder&>(builder).Append(std::get<std::string_view>(cell));
    case ColumnType::kConversation:
    case ColumnType::kMemberConversation:
      return append_conversation(static_cast<arrow::ListBuilder&>(builder),
                                 *std::get<const Conversation*>(cell));
    case ColumnType::kTexts:
      return append_texts(static_cast<arrow::ListBuilder&>(builder),
                          *std::get<const std::vector<std::string>*>(cell));
    case ColumnType::kFloat:
      return static_cast<arrow::FloatBuilder&>(builder).Append(std::get<float>(cell));
    case ColumnType::kDouble:
      return static_cast<arrow::DoubleBuilder&>(builder).Append(std::get<double>(cell));
    case ColumnType::kDoubles:
      return append_doubles(static_cast<arrow::ListBuilder&>(builder),
                            *std::get<const std::vector<double>*>(cell));
    case ColumnType::kCount:
      return static_cast<arrow::Int32Builder&>(builder).Append(std::get<std::int32_t>(cell));
    case ColumnType::kFlag:
      return static_cast<arrow::BooleanBuilder&>(builder).Append(std::get<bool>(cell));
  }
  return arrow::Status::Invalid("unknown column type");
}

std::size_t text_bytes(const std::vector<Cell>& cells) {
  std::size_t bytes = 0;
  for (const Cell& cell : cells) {
    if (const auto* text = std::get_if<std::string_view>(&cell)) bytes += text->size();
    if (const auto* texts = std::get_if<const std::vector<std::string>*>(&cell)) {
      for (const std::string& text : **texts) bytes += text.size();
    }
    if (const auto* conversation = std::get_if<const Conversation*>(&cell)) {
      for (const Message& message : **conversation)
        bytes += message.role.size() + message.content.size() + message.members.size();
    }
  }
  return bytes;
}

std::shared_ptr<arrow::Schema> schema_of(const Table& table) {
  arrow::FieldVector fields;
  for (const Column& column : table.columns)
    fields.push_back(arrow::field(column.name, arrow_type(column.type)));
  if (table.provenance.empty()) return arrow::schema(std::move(fields));
  // Becomes the file's own key-value metadata.
  return arrow::schema(std::move(fields),
                       arrow::key_value_metadata({"charm"}, {provenance_json(table.provenance)}));
}

// The first row after the row group that starts at `begin`; reserves the memory of its texts, since
// a growing buffer would take up to three times as much.
std::size_t reserve_row_group(const std::filesystem::path& path, const Table& table,
                              std::size_t begin, arrow::RecordBatchBuilder& builder) {
  std::vector<std::int64_t> bytes_of_column(table.columns.size(), 0);
  std::vector<Cell> cells;
  std::size_t row = begin;
  std::size_t bytes = 0;
  for (std::int64_t count = 0;
       row < table.num_rows && count < kRowsPerGroup && bytes < kTextBytesPerGroup; ++count) {
    table.fill(row++, cells);
    bytes += text_bytes(cells);
    for (std::size_t k = 0; k < cells.size(); ++k) {
      if (const auto* text = std::get_if<std::string_view>(&cells[k]))
        bytes_of_column[k] += static_cast<std::int64_t>(text->size());
    }
  }
  for (std::size_t k = 0; k < table.columns.size(); ++k) {
    if (table.columns[k].type != ColumnType::kText) continue;
    auto& texts = static_cast<arrow::StringBuilder&>(*builder.GetField(static_cast<int>(k)));
    check(path, texts.ReserveData(bytes_of_column[k]));
  }
  return row;
}

// Writes rows from `begin` as one row group and returns the first row after it.
std::size_t write_row_group(const std::filesystem::path& path, const Table& table,
                            std::size_t begin, parquet::arrow::FileWriter& writer) {
  const auto builder =
      value_or_throw(path, arrow::RecordBatchBuilder::Make(writer.schema(), memory_pool()));
  const std::size_t end = reserve_row_group(path, table, begin, *builder);
  std::vector<Cell> cells;
  for (std::size_t row = begin; row < end; ++row) {
    table.fill(row, cells);
    for (std::size_t k = 0; k < table.columns.size(); ++k) {
      check(path,
            append_cell(*builder->GetField(static_cast<int>(k)), table.columns[k].type, cells[k]));
    }
  }
  const std::shared_ptr<arrow::RecordBatch> batch = value_or_throw(path, builder->Flush());
  const auto rows = value_or_throw(path, arrow::Table::FromRecordBatches({batch}));
  check(path, writer.WriteTable(*rows, kRowsPerGroup));
  return end;
}

/// Writes a file of the schema whose rows `write_groups` adds.
void write_file_of(const std::filesystem::path& path, const std::filesystem::path& partial,
                   const arrow::Schema& schema,
                   const std::function<void(parquet::arrow::FileWriter&)>& write_groups) {
  const auto sink = value_or_throw(path, arrow::io::FileOutputStream::Open(partial.string()));
  // With checksums, a bit flip is an error instead of a wrong score.
  const auto properties = parquet::WriterProperties::Builder()
                              .memory_pool(memory_pool())
                              ->compression(parquet::Compression::ZSTD)
                              // Responses differ: a dictionary would be a further copy of them.
                              ->disable_dictionary("response")
                              ->enable_page_checksum()
                              ->build();
  // Stores the Arrow schema, so that readers get the exact types.
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  const auto writer = value_or_throw(
      path,
      parquet::arrow::FileWriter::Open(schema, memory_pool(), sink, properties, arrow_properties));
  write_groups(*writer);
  check(path, writer->Close());
  check(path, sink->Close());
}

void publish_file_of(const std::filesystem::path& path, const arrow::Schema& schema,
                     const std::function<void(parquet::arrow::FileWriter&)>& write_groups) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  const fs::path partial = partial_path(path);
  const LargeBuffersFromSystem large_buffers;
  try {
    write_file_of(path, partial, schema, write_groups);
    publish(partial, path);
  } catch (const std::exception& e) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    if (dynamic_cast<const Error*>(&e) != nullptr) throw;
    // The Parquet library throws its own exceptions if a sink fails within a page.
    throw Error(ErrorKind::kIo, "{}: cannot write Parquet: {}", path.string(), e.what());
  }
}

/// `table` with a column at its end, in place of one of that name.
std::shared_ptr<arrow::Table> with_column(const std::filesystem::path& path,
                                          std::shared_ptr<arrow::Table> table,
                                          const std::string& column,
                                          std::span<const std::optional<double>> values) {
  arrow::DoubleBuilder builder;
  check(path, builder.Reserve(table->num_rows()));
  for (const std::optional<double>& value : values) {
    if (value) {
      builder.UnsafeAppend(*value);
    } else {
      builder.UnsafeAppendNull();
    }
  }
  if (const int present = table->schema()->GetFieldIndex(column); present >= 0)
    table = value_or_throw(path, table->RemoveColumn(present));
  const auto added = std::make_shared<arrow::ChunkedArray>(value_or_throw(path, builder.Finish()));
  return value_or_throw(
      path, table->AddColumn(table->num_columns(), arrow::field(column, arrow::float64()), added));
}

std::shared_ptr<arrow::Table> read_table(const std::filesystem::path& path) {
  ArrowBatches batches(path, ColumnarFormat::kParquet, {});
  arrow::RecordBatchVector all;
  while (const std::shared_ptr<arrow::RecordBatch> batch = batches.next()) all.push_back(batch);
  const auto schema = batches.schema().WithMetadata(batches.schema().metadata());
  return value_or_throw(path, arrow::Table::FromRecordBatches(schema, all));
}

}  // namespace

void write_parquet(const std::filesystem::path& path, const Table& table) {
  publish_file_of(path, *schema_of(table), [&](parquet::arrow::FileWriter& writer) {
    for (std::size_t row = 0; row < table.num_rows;)
      row = write_row_group(path, table, row, writer);
  });
}

void write_with_column(const std::filesystem::path& input, const std::filesystem::path& output,
                       const std::string& column, std::span<const std::optional<double>> values) {
  std::shared_ptr<arrow::Table> table = read_table(input);
  if (table->num_rows() != static_cast<std::int64_t>(values.size())) {
    throw Error(ErrorKind::kInput, "{}: has {} rows, of which {} can be used; expected all",
                input.string(), table->num_rows(), values.size());
  }
  table = with_column(output, std::move(table), column, values);
  publish_file_of(output, *table->schema(), [&](parquet::arrow::FileWriter& writer) {
    check(output, writer.WriteTable(*table, kRowsPerGroup));
  });
}

}  // namespace charm::storage
