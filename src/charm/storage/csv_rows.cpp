#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/error.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

struct Field {
  std::string text;
  bool is_quoted = false;
};

class CsvReader {
 public:
  CsvReader(std::string_view text, char separator, const std::filesystem::path& path)
      : text_(text), separator_(separator), path_(path) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
  }

  bool at_end() const { return position_ >= text_.size(); }
  std::size_t line() const { return line_; }

  std::vector<Field> row() {
    std::vector<Field> fields;
    while (true) {
      fields.push_back(field());
      if (at_end()) return fields;
      const char c = text_[position_++];
      if (c == separator_) continue;
      if (c == '\r' && !at_end() && text_[position_] == '\n') ++position_;
      ++line_;
      return fields;
    }
  }

 private:
  bool ends_field(char c) const { return c == separator_ || c == '\n' || c == '\r'; }

  Field field() {
    Field field;
    if (!at_end() && text_[position_] == '"') return quoted_field();
    while (!at_end() && !ends_field(text_[position_])) field.text += text_[position_++];
    return field;
  }

  Field quoted_field() {
    const std::size_t first_line = line_;
    Field field{.text = "", .is_quoted = true};
    ++position_;
    while (!at_end()) {
      const char c = text_[position_++];
      if (c == '"') {
        if (at_end() || text_[position_] != '"') {
          if (!at_end() && !ends_field(text_[position_])) break;
          return field;
        }
        ++position_;
      }
      if (c == '\n') ++line_;
      field.text += c;
    }
    throw Error(ErrorKind::kInput,
                "{}:{}: a quoted field does not end before a separator or the line's end",
                path_.string(), first_line);
  }

  std::string_view text_;
  char separator_;
  const std::filesystem::path& path_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
};

nlohmann::ordered_json value_of(const Field& field) {
  if (field.is_quoted) return field.text;
  if (field.text.empty()) return nullptr;
  double number = 0.0;
  const char* end = field.text.data() + field.text.size();
  const auto [stop, error] = std::from_chars(field.text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  return field.text;
}

}  // namespace

nlohmann::ordered_json csv_rows(std::string_view text, char separator,
                                const std::filesystem::path& path) {
  CsvReader reader(text, separator, path);
  if (reader.at_end())
    throw Error(ErrorKind::kInput, "{}: is empty, expected a header line", path.string());
  const std::vector<Field> header = reader.row();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  while (!reader.at_end()) {
    const std::size_t line = reader.line();
    const std::vector<Field> fields = reader.row();
    if (fields.size() == 1 && fields[0].text.empty() && !fields[0].is_quoted)
      continue;  // blank line
    if (fields.size() != header.size()) {
      throw Error(ErrorKind::kInput, "{}:{}: has {} fields, expected {} as in the header",
                  path.string(), line, fields.size(), header.size());
    }
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < fields.size(); ++i) row[header[i].text] = value_of(fields[i]);
    // Names of digits only stay strings.
    for (const char* key : {"name", "model", "model_name"}) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (header[i].text == key) row[key] = fields[i].text;
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace charm::storage
