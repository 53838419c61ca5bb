#include <arrow/array/array_binary.h>
#include <arrow/buffer.h>
#include <arrow/csv/options.h>
#include <arrow/csv/reader.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/storage/byte_stream.h"
#include "charm/storage/row_source.h"
#include "charm/storage/row_view.h"

namespace charm::storage {
namespace {

// The extension before .gz, in lower case.
std::string extension_of(const std::filesystem::path& file) {
  const std::string extension = lower_ascii(file.extension().string());
  return extension == ".gz" ? lower_ascii(file.stem().extension().string()) : extension;
}

// Throws where Arrow would change texts in silence: it drops the quotes of `"a" b`, and a quote
// that is never closed takes the rest of the file into its field.
void check_quotes(std::string_view text, char separator, const std::string& file) {
  std::int64_t line = 1;
  bool begins_field = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') ++line;
    if (text[i] != '"' || !begins_field) {
      begins_field = text[i] == '\n' || text[i] == '\r' || text[i] == separator;
      continue;
    }
    const std::int64_t opened = line;
    for (++i; i < text.size(); ++i) {
      if (text[i] == '\n') ++line;
      if (text[i] != '"') continue;
      if (i + 1 == text.size() || text[i + 1] != '"') break;
      ++i;  // two quotes are one
    }
    if (i >= text.size()) {
      throw Error(ErrorKind::kInput, "{}:{}: the quotes around a field are never closed", file,
                  opened);
    }
    const char next = i + 1 < text.size() ? text[i + 1] : '\n';
    if (next != '\n' && next != '\r' && next != separator) {
      throw Error(ErrorKind::kInput,
                  "{}:{}: text behind the closing quote of a field; a field with quotes stands in "
                  "quotes, and those inside it are doubled (\"\")",
                  file, line);
    }
    begins_field = false;
  }
}

// Every column as text: Arrow would infer one type for a whole column. An empty field is null,
// quoted or not.
arrow::Result<std::shared_ptr<arrow::Table>> read_table(std::string_view text, char separator) {
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;  // errors name the row
  // A block must hold a whole row.
  read.block_size = static_cast<std::int32_t>(
      std::clamp<std::size_t>(text.size(), std::size_t{1} << 20, std::size_t{1} << 30));
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = separator;
  parse.newlines_in_values = true;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.default_column_type = arrow::utf8();
  convert.null_values = {""};
  convert.strings_can_be_null = true;
  const auto input =
      std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(text));
  ARROW_ASSIGN_OR_RAISE(
      const auto reader,
      arrow::csv::TableReader::Make(arrow::io::default_io_context(), input, read, parse, convert));
  return reader->Read();
}

// A header of one name that holds another separator: the fields of all rows would be one.
void require_separator(std::string_view text, char separator, const std::string& file) {
  const std::string_view header = text.substr(0, text.find_first_of("\r\n"));
  if (header.find(separator) != std::string_view::npos) return;
  constexpr std::pair<char, std::string_view> kOthers[] = {
      {'\t', "tabs"}, {',', "commas"}, {';', "semicolons"}, {'|', "bars"}};
  for (const auto& [other, name] : kOthers) {
    if (other == separator || header.find(other) == std::string_view::npos) continue;
    throw Error(ErrorKind::kInput, "{}: its columns seem to be separated by {}, expected {}; {}",
                file, name, separator == '\t' ? "tabs" : "commas",
                other == '\t'  ? "name it .tsv"
                : other == ',' ? "name it .csv"
                               : "write it with commas, or with tabs as .tsv");
  }
}

class CsvRows : public RowSource {
 public:
  explicit CsvRows(const std::filesystem::path& file) : file_(file.string()) {
    const std::string text = ByteStream(file).rest();
    if (const auto invalid = find_invalid_utf8(text)) {
      throw Error(ErrorKind::kInput, "{}: invalid UTF-8 at byte {}; write it as UTF-8", file_,
                  *invalid + 1);
    }
    const char separator = extension_of(file) == ".tsv" ? '\t' : ',';
    require_separator(text, separator, file_);
    check_quotes(text, separator, file_);
    const auto table = read_table(text, separator);
    if (!table.ok()) throw Error(ErrorKind::kInput, "{}: {}", file_, table.status().message());
    const auto batch = (*table)->CombineChunksToBatch();
    if (!batch.ok()) throw Error(ErrorKind::kResource, "{}: {}", file_, batch.status().message());
    batch_ = *batch;
  }

  RowOutcome next(RowView& row, std::string&) override {
    if (row_ == batch_->num_rows()) return RowOutcome::kEnd;
    if (row_ == 0) set_columns(row);
    row.index = row_++;
    return RowOutcome::kRow;
  }

  std::string location() const override { return fmt::format("{}, row {}", file_, row_); }

 private:
  void set_columns(RowView& row) const {
    const arrow::Schema& schema = *batch_->schema();
    row.is_csv = true;
    row.file_columns = schema.field_names();
    for (int k = 0; k < batch_->num_columns(); ++k) {
      const std::string& name = schema.field(k)->name();
      row.columns.push_back({name, batch_->column(k).get(), nullptr});
      if (schema.GetAllFieldIndices(name).size() > 1) row.repeated.push_back(name);
    }
  }

  std::string file_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t row_ = 0;  // of the file, from 1 once read
};

}  // namespace

bool is_csv(const std::filesystem::path& file) {
  const std::string extension = extension_of(file);
  return extension == ".csv" || extension == ".tsv";
}

std::unique_ptr<RowSource> open_csv_rows(const std::filesystem::path& file) {
  return std::make_unique<CsvRows>(file);
}

}  // namespace charm::storage
