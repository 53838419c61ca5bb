#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace arrow {
class Array;
}

namespace charm::storage {

/// How a value is stored. What each role of a column accepts is in column_roles.h.
enum class ValueKind : std::uint8_t {
  kNull,
  kBool,
  kInt,      ///< also of small integer types
  kUint,     ///< uint64, and integers of JSON above the range of int64
  kDouble,   ///< float16, float, double
  kDecimal,  ///< exact decimals of any width
  kText,     ///< UTF-8 by its type; of columnar files not yet checked
  kBytes,    ///< binary without a further type
  kUuid,     ///< 16 bytes annotated as a UUID
  kJson,     ///< JSON source in a column annotated as JSON (arrow.json, Parquet's JSON)
  kList,
  kStruct,
  kField,  ///< a field of CSV, which has no type: a text, or what the text reads as
  kOther,  ///< no role accepts it: dates, times, durations, maps, unions
};

/// One stored value, seen in place: a cell of a Parquet or Arrow column, or a value of a JSON row.
/// Dictionaries, run ends, views and extension types are resolved. Valid as long as its row is the
/// current one.
class Value {
 public:
  Value() = default;
  explicit Value(std::string_view text, ValueKind kind = ValueKind::kText)
      : kind_(kind), text_(text) {}
  explicit Value(const nlohmann::ordered_json& json);
  Value(const arrow::Array& array, std::int64_t index);

  ValueKind kind() const { return kind_; }
  bool is_null() const { return kind_ == ValueKind::kNull; }
  bool boolean() const { return number_.boolean; }           ///< kBool
  std::int64_t integer() const { return number_.integer; }   ///< kInt
  std::uint64_t natural() const { return number_.natural; }  ///< kUint
  double real() const { return number_.real; }               ///< kDouble
  std::string_view text() const { return text_; }         ///< kText, kBytes, kUuid, kJson, kField
  std::string decimal() const;                            ///< kDecimal: "12.50"
  std::size_t size() const;                               ///< kList, kStruct
  Value operator[](std::size_t index) const;              ///< kList, kStruct
  std::string_view member_name(std::size_t index) const;  ///< kStruct
  const nlohmann::ordered_json* json() const { return json_; }  ///< of JSON rows; else nullptr

  /// The type as stored, for messages: "int64", "timestamp[us]"; of JSON rows "number", "string".
  std::string type_name() const;

 private:
  union Number {
    bool boolean;
    std::int64_t integer;
    std::uint64_t natural;
    double real;
  };

  void read(const arrow::Array& array, std::int64_t index);

  ValueKind kind_ = ValueKind::kNull;
  Number number_{.integer = 0};
  std::string_view text_;
  const nlohmann::ordered_json* json_ = nullptr;
  const arrow::Array* array_ = nullptr;  // the elements of a list; else the array of the value
  std::int64_t begin_ = 0;               // the first element of a list; else the index in `array_`
  std::int64_t end_ = 0;
  const arrow::Array* column_ = nullptr;  // before dictionaries and run ends were resolved
};

/// One row of any format: values by column name. The reader owns and refills it.
class RowView {
 public:
  struct Column {
    std::string name;
    const arrow::Array* array = nullptr;
    const std::vector<std::string>* class_names = nullptr;  ///< of Hugging Face's ClassLabel
  };

  /// Null if the row has no such column. Throws kInput if two columns have this name.
  Value operator[](std::string_view column) const;
  /// Whether the column exists and is not null.
  bool has(std::string_view column) const { return !(*this)[column].is_null(); }
  /// Whether the column exists, null or not, also among the columns that are not read.
  bool contains(std::string_view column) const;
  /// The names of all columns, also of those that are not read.
  std::vector<std::string> column_names() const;
  /// The same for a message, those known to be null marked: "prompt, response (null)".
  std::string names() const;
  /// The columns that have a JSON value.
  nlohmann::ordered_json to_json() const;
  /// Logs a warning about a column once per reader.
  void warn_once(std::string_view column, std::string_view warning) const;

  // Set by the source of the rows.
  const nlohmann::ordered_json* object = nullptr;  ///< of JSON rows
  std::vector<Column> columns;                     ///< of columnar rows, of the current batch
  std::int64_t index = 0;                          ///< in the batch
  bool is_csv = false;                             ///< columns of texts whose types are unknown
  std::vector<std::string> file_columns;           ///< of columnar rows, also those not read
  std::vector<std::string> repeated;               ///< names of more than one column
  /// Columns in the names of folders (`policy=gemma`), used if the file has none of that name.
  std::vector<std::pair<std::string, std::string>> partition;
  /// Columns to look up under another name: (as asked for, as stored).
  std::vector<std::pair<std::string, std::string>> stored_as;
  std::string file;  ///< for warnings

 private:
  Value field_of(const Value& value, std::string_view column) const;

  std::string_view stored_name(std::string_view column) const;

  mutable std::vector<std::string> warned_;
};

}  // namespace charm::storage
