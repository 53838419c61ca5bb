#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/storage/arrow_batches.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

/// The value at `index` as JSON: strings as they are, lists as arrays, structs as objects, null as
/// null, dates and decimals as Arrow's text for them. Throws kInput (without location) for invalid
/// UTF-8. `depth` is the number of structs around the value.
nlohmann::ordered_json json_value(const arrow::Array& array, std::int64_t index, int depth = 0);

template <typename ArrayType>
const ArrayType& as(const arrow::Array& array) {
  return static_cast<const ArrayType&>(array);
}

nlohmann::ordered_json text_value(std::string_view text) {
  if (const auto offset = find_invalid_utf8(text)) {
    throw Error(ErrorKind::kInput, "invalid UTF-8 at byte {} of the text", *offset + 1);
  }
  return std::string(text);
}

nlohmann::ordered_json list_value(const arrow::Array& values, std::int64_t begin, std::int64_t end,
                                  int depth) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::int64_t i = begin; i < end; ++i) list.push_back(json_value(values, i, depth));
  return list;
}

// A struct type holds the members of all its values: in a struct within another one (the arguments
// of a tool call) null means absent.
nlohmann::ordered_json struct_value(const arrow::StructArray& array, std::int64_t index,
                                    int depth) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (int k = 0; k < array.num_fields(); ++k) {
    nlohmann::ordered_json value = json_value(*array.field(k), index, depth + 1);
    if (depth > 0 && value.is_null()) continue;
    object[array.struct_type()->field(k)->name()] = std::move(value);
  }
  return object;
}

nlohmann::ordered_json json_value(const arrow::Array& array, std::int64_t index, int depth) {
  if (array.IsNull(index)) return nullptr;
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return text_value(as<arrow::StringArray>(array).GetView(index));
    case arrow::Type::LARGE_STRING:
      return text_value(as<arrow::LargeStringArray>(array).GetView(index));
    case arrow::Type::STRING_VIEW:
      return text_value(as<arrow::StringViewArray>(array).GetView(index));
    case arrow::Type::BOOL:
      return as<arrow::BooleanArray>(array).Value(index);
    case arrow::Type::INT8:
      return as<arrow::Int8Array>(array).Value(index);
    case arrow::Type::INT16:
      return as<arrow::Int16Array>(array).Value(index);
    case arrow::Type::INT32:
      return as<arrow::Int32Array>(array).Value(index);
    case arrow::Type::INT64:
      return as<arrow::Int64Array>(array).Value(index);
    case arrow::Type::UINT8:
      return as<arrow::UInt8Array>(array).Value(index);
    case arrow::Type::UINT16:
      return as<arrow::UInt16Array>(array).Value(index);
    case arrow::Type::UINT32:
      return as<arrow::UInt32Array>(array).Value(index);
    case arrow::Type::UINT64:
      return as<arrow::UInt64Array>(array).Value(index);
    case arrow::Type::FLOAT:
      return as<arrow::FloatArray>(array).Value(index);
    case arrow::Type::DOUBLE:
      return as<arrow::DoubleArray>(array).Value(index);
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = as<arrow::DictionaryArray>(array);
      return json_value(*dictionary.dictionary(), dictionary.GetValueIndex(index), depth);
    }
    case arrow::Type::LIST: {
      const auto& list = as<arrow::ListArray>(array);
      return list_value(*list.values(), list.value_offset(index), list.value_offset(index + 1),
                        depth);
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = as<arrow::LargeListArray>(array);
      return list_value(*list.values(), list.value_offset(index), list.value_offset(index + 1),
                        depth);
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = as<arrow::FixedSizeListArray>(array);
      return list_value(*list.values(), list.value_offset(index), list.value_offset(index + 1),
                        depth);
    }
    case arrow::Type::STRUCT:
      return struct_value(as<arrow::StructArray>(array), index, depth);
    case arrow::Type::EXTENSION:
      return json_value(*as<arrow::ExtensionArray>(array).storage(), index, depth);
    default:
      break;
  }
  // Columns that no record uses (dates, decimals, images) must not fail the row: their text, or the
  // type's name, suffices.
  const auto scalar = array.GetScalar(index);
  if (!scalar.ok() || arrow::is_base_binary_like(array.type_id()))
    return "<" + array.type()->ToString() + ">";
  return text_value((*scalar)->ToString());
}

class ColumnarRows : public RowSource {
 public:
  ColumnarRows(const std::filesystem::path& file, ColumnarFormat format,
               const std::vector<std::string>& columns)
      : file_(file.string()), columns_(columns), batches_(file, format, columns) {}

  RowOutcome next(nlohmann::ordered_json& row, std::string& problem) override {
    while (batch_ == nullptr || index_ == batch_->num_rows()) {
      batch_ = batches_.next();
      index_ = 0;
      if (batch_ == nullptr) return RowOutcome::kEnd;
    }
    ++row_;
    const std::int64_t index = index_++;
    if (!row.is_object()) row = nlohmann::ordered_json::object();
    for (int k = 0; k < batch_->num_columns(); ++k) {
      const std::string& name = batch_->schema()->field(k)->name();
      if (!is_wanted(columns_, name)) continue;
      try {
        row[name] = json_value(*batch_->column(k), index);
      } catch (const Error& e) {
        problem = fmt::format("column '{}': {}", name, e.message());
        return RowOutcome::kBad;
      }
    }
    return RowOutcome::kRow;
  }

  std::string location() const override { return fmt::format("{}, row {}", file_, row_); }

 private:
  std::string file_;
  std::vector<std::string> columns_;
  ArrowBatches batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t index_ = 0;  // into batch_
  std::int64_t row_ = 0;    // of the file, from 1
};

}  // namespace

std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file,
                                              ColumnarFormat format,
                                              const std::vector<std::string>& columns) {
  return std::make_unique<ColumnarRows>(file, format, columns);
}

}  // namespace charm::storage
