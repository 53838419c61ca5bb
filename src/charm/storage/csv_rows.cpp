#include <arrow/array/array_binary.h>
#include <arrow/buffer.h>
#include <arrow/csv/options.h>
#include <arrow/csv/reader.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "charm/base/error.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

// Every column as text: Arrow would infer one type for a whole column.
arrow::Result<std::shared_ptr<arrow::Table>> read_table(std::string_view text, char separator) {
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;  // errors name the row
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = separator;
  parse.newlines_in_values = true;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.default_column_type = arrow::utf8();
  const auto input =
      std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(text));
  ARROW_ASSIGN_OR_RAISE(
      const auto reader,
      arrow::csv::TableReader::Make(arrow::io::default_io_context(), input, read, parse, convert));
  return reader->Read();
}

nlohmann::ordered_json value_of(std::string_view text) {
  if (text.empty()) return nullptr;
  double number = 0.0;
  const char* end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): from_chars takes the end, no NUL
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  return text;
}

}  // namespace

nlohmann::ordered_json csv_rows(std::string_view text, char separator,
                                const std::filesystem::path& path) {
  const auto table = read_table(text, separator);
  if (!table.ok())
    throw Error(ErrorKind::kInput, "{}: {}", path.string(), table.status().message());
  constexpr std::array kTextColumns = {"name",        "model",      "model_name",
                                       "competitors", "competitor", "Model",
                                       "model_a",     "model_b"};  // also if of digits only
  auto rows = nlohmann::ordered_json::array();
  for (std::int64_t row = 0; row < (*table)->num_rows(); ++row)
    rows.push_back(nlohmann::ordered_json::object());
  for (int column = 0; column < (*table)->num_columns(); ++column) {
    const std::string& key = (*table)->field(column)->name();
    const bool is_text = std::count(kTextColumns.begin(), kTextColumns.end(), key) > 0;
    std::size_t row = 0;
    for (const auto& chunk : (*table)->column(column)->chunks()) {
      const auto& values = static_cast<const arrow::StringArray&>(*chunk);
      for (std::int64_t i = 0; i < values.length(); ++i) {
        const std::string_view value = values.GetView(i);
        rows[row++][key] = is_text ? nlohmann::ordered_json(value) : value_of(value);
      }
    }
  }
  return rows;
}

}  // namespace charm::storage
