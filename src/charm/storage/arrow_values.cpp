#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <arrow/util/ree_util.h>

#include <nlohmann/json.hpp>

#include "charm/storage/row_view.h"

// The part of Value that reads Arrow arrays.
namespace charm::storage {
namespace {

template <typename ArrayType>
const ArrayType& as(const arrow::Array& array) {
  return static_cast<const ArrayType&>(array);
}

}  // namespace

Value::Value(const arrow::Array& array, std::int64_t index) : column_(&array) {
  read(array, index);
}

void Value::read(const arrow::Array& array, std::int64_t index) {
  array_ = &array;
  begin_ = index;
  kind_ = ValueKind::kNull;
  if (array.IsNull(index)) return;
  const auto integer = [&](std::int64_t value) {
    kind_ = ValueKind::kInt;
    number_.integer = value;
  };
  const auto real = [&](double value) {
    kind_ = ValueKind::kDouble;
    number_.real = value;
  };
  const auto text = [&](ValueKind kind, std::string_view value) {
    kind_ = kind;
    text_ = value;
  };
  const auto list = [&](const std::shared_ptr<arrow::Array>& elements, std::int64_t begin,
                        std::int64_t length) {
    kind_ = ValueKind::kList;
    array_ = elements.get();  // owned by the list
    begin_ = begin;
    end_ = begin + length;
  };
  const auto list_of = [&](const auto& lists) {
    list(lists.values(), lists.value_offset(index), lists.value_length(index));
  };
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      kind_ = ValueKind::kBool;
      number_.boolean = as<arrow::BooleanArray>(array).Value(index);
      return;
    case arrow::Type::INT8:
      return integer(as<arrow::Int8Array>(array).Value(index));
    case arrow::Type::INT16:
      return integer(as<arrow::Int16Array>(array).Value(index));
    case arrow::Type::INT32:
      return integer(as<arrow::Int32Array>(array).Value(index));
    case arrow::Type::INT64:
      return integer(as<arrow::Int64Array>(array).Value(index));
    case arrow::Type::UINT8:
      return integer(as<arrow::UInt8Array>(array).Value(index));
    case arrow::Type::UINT16:
      return integer(as<arrow::UInt16Array>(array).Value(index));
    case arrow::Type::UINT32:
      return integer(as<arrow::UInt32Array>(array).Value(index));
    case arrow::Type::UINT64:
      kind_ = ValueKind::kUint;
      number_.natural = as<arrow::UInt64Array>(array).Value(index);
      return;
    case arrow::Type::HALF_FLOAT:
      return real(
          arrow::util::Float16::FromBits(as<arrow::HalfFloatArray>(array).Value(index)).ToDouble());
    case arrow::Type::FLOAT:
      return real(static_cast<double>(as<arrow::FloatArray>(array).Value(index)));
    case arrow::Type::DOUBLE:
      return real(as<arrow::DoubleArray>(array).Value(index));
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      kind_ = ValueKind::kDecimal;
      return;
    case arrow::Type::STRING:
      return text(ValueKind::kText, as<arrow::StringArray>(array).GetView(index));
    case arrow::Type::LARGE_STRING:
      return text(ValueKind::kText, as<arrow::LargeStringArray>(array).GetView(index));
    case arrow::Type::STRING_VIEW:
      return text(ValueKind::kText, as<arrow::StringViewArray>(array).GetView(index));
    case arrow::Type::BINARY:
      return text(ValueKind::kBytes, as<arrow::BinaryArray>(array).GetView(index));
    case arrow::Type::LARGE_BINARY:
      return text(ValueKind::kBytes, as<arrow::LargeBinaryArray>(array).GetView(index));
    case arrow::Type::BINARY_VIEW:
      return text(ValueKind::kBytes, as<arrow::BinaryViewArray>(array).GetView(index));
    case arrow::Type::FIXED_SIZE_BINARY:
      return text(ValueKind::kBytes, as<arrow::FixedSizeBinaryArray>(array).GetView(index));
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = as<arrow::DictionaryArray>(array);
      return read(*dictionary.dictionary(), dictionary.GetValueIndex(index));
    }
    case arrow::Type::RUN_END_ENCODED: {
      const auto& runs = as<arrow::RunEndEncodedArray>(array);
      const arrow::ArraySpan span(*array.data());
      return read(*runs.values(), arrow::ree_util::FindPhysicalIndex(span, index, span.offset));
    }
    case arrow::Type::LIST:
      return list_of(as<arrow::ListArray>(array));
    case arrow::Type::LARGE_LIST:
      return list_of(as<arrow::LargeListArray>(array));
    case arrow::Type::LIST_VIEW:
      return list_of(as<arrow::ListViewArray>(array));
    case arrow::Type::LARGE_LIST_VIEW:
      return list_of(as<arrow::LargeListViewArray>(array));
    case arrow::Type::FIXED_SIZE_LIST:
      return list_of(as<arrow::FixedSizeListArray>(array));
    case arrow::Type::STRUCT:
      kind_ = ValueKind::kStruct;
      return;
    case arrow::Type::EXTENSION: {
      const auto& extension = as<arrow::ExtensionArray>(array);
      read(*extension.storage(), index);
      const std::string name = extension.extension_type()->extension_name();
      if (name == "arrow.json" && kind_ == ValueKind::kText)
        kind_ = text_ == "null" ? ValueKind::kNull : ValueKind::kJson;
      if (name == "arrow.uuid" && kind_ == ValueKind::kBytes) kind_ = ValueKind::kUuid;
      if (name == "arrow.bool8" && kind_ == ValueKind::kInt) {
        kind_ = ValueKind::kBool;
        number_.boolean = number_.integer != 0;
      }
      return;
    }
    default:
      kind_ = ValueKind::kOther;
  }
}

std::string Value::decimal() const {
  switch (array_->type_id()) {
    case arrow::Type::DECIMAL32:
      return as<arrow::Decimal32Array>(*array_).FormatValue(begin_);
    case arrow::Type::DECIMAL64:
      return as<arrow::Decimal64Array>(*array_).FormatValue(begin_);
    case arrow::Type::DECIMAL256:
      return as<arrow::Decimal256Array>(*array_).FormatValue(begin_);
    default:
      return as<arrow::Decimal128Array>(*array_).FormatValue(begin_);
  }
}

std::size_t Value::size() const {
  if (json_ != nullptr) return json_->size();
  return kind_ == ValueKind::kStruct
             ? static_cast<std::size_t>(as<arrow::StructArray>(*array_).num_fields())
             : static_cast<std::size_t>(end_ - begin_);
}

Value Value::operator[](std::size_t index) const {
  if (json_ != nullptr) {
    return Value(kind_ == ValueKind::kStruct
                     ? std::next(json_->begin(), static_cast<std::ptrdiff_t>(index)).value()
                     : (*json_)[index]);
  }
  if (kind_ == ValueKind::kStruct)
    return {*as<arrow::StructArray>(*array_).field(static_cast<int>(index)), begin_};
  return {*array_, begin_ + static_cast<std::int64_t>(index)};
}

std::string_view Value::member_name(std::size_t index) const {
  if (json_ != nullptr) return std::next(json_->begin(), static_cast<std::ptrdiff_t>(index)).key();
  return array_->type()->field(static_cast<int>(index))->name();
}

std::string Value::type_name() const {
  if (json_ != nullptr) return json_->type_name();
  if (kind_ == ValueKind::kField) return "a CSV field";
  return column_ == nullptr ? "string" : column_->type()->ToString();
}

}  // namespace charm::storage
