#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/results/result_file.h"
#include "charm/storage/byte_stream.h"
#include "charm/storage/row_source.h"
#include "charm/storage/row_view.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// The parser's message without the "[json.exception...] " prefix, the line number (relative to the
// row) and the last token, which may be a whole text.
std::string short_message(std::string_view message) {
  if (const std::size_t head = message.find("] "); head != std::string_view::npos)
    message.remove_prefix(head + 2);
  constexpr std::string_view kFirstLine = "parse error at line 1, ";
  if (message.starts_with(kFirstLine)) message.remove_prefix(kFirstLine.size());
  if (const std::size_t tail = message.find("; last read"); tail != std::string_view::npos)
    message = message.substr(0, tail);
  return std::string(message);
}

// pandas' DataFrame.to_json writes columns unless it is told to write records.
void refuse_columns(const Json& row, const std::string& file) {
  const bool is_split = row.contains("columns") && row.contains("data") && row.contains("index");
  const bool is_columns =
      !row.empty() && std::all_of(row.begin(), row.end(), [](const Json& column) {
        return column.is_object() && column.contains("0");
      });
  const bool is_index =
      !is_columns && row.contains("0") &&
      std::all_of(row.begin(), row.end(), [](const Json& member) { return member.is_object(); });
  if (is_index) {
    throw Error(ErrorKind::kInput,
                "{}: holds the rows as members of one object, as pandas' to_json(orient=\"index\") "
                "writes them; write them with to_json(path, orient=\"records\", lines=True)",
                file);
  }
  if (is_split || is_columns) {
    throw Error(ErrorKind::kInput,
                "{}: holds a table column by column, as pandas' to_json writes it; write its rows "
                "with to_json(path, orient=\"records\", lines=True)",
                file);
  }
}

// A list of rows under a name: {"data": [{...}, ...]}, {"rows": ...}. Not a row with such a column.
void refuse_wrapped_rows(const Json& row, const std::string& file) {
  for (const char* column : {"prompt", "prompt_id", "instruction", "messages", "conversations",
                             "conversation", "chosen", "response", "model_a", "score"}) {
    if (row.contains(column)) return;
  }
  for (const char* name : {"data", "rows", "instances", "examples", "samples", "train", "test"}) {
    const auto list = row.find(name);
    if (list == row.end() || !list->is_array() || list->empty() || !list->front().is_object())
      continue;
    throw Error(ErrorKind::kInput,
                "{}: holds its rows in the member '{}' of one object; write the list alone, or its "
                "rows as lines: jq -c '.{}[]'",
                file, name, name);
  }
}

// The keys that a JSON object, whose parser keeps the last of each, has more than once.
std::vector<std::string> repeated_keys(std::string_view text) {
  std::set<std::string> keys;
  std::vector<std::string> repeated;
  const auto add = [&](int depth, Json::parse_event_t event, Json& key) {
    const bool is_key = event == Json::parse_event_t::key && depth == 1;
    if (is_key && !keys.insert(key.get<std::string>()).second)
      repeated.push_back(key.get<std::string>());
    return true;
  };
  const Json parsed = Json::parse(text, add);
  return repeated;
}

// Where the string that opens at `open` closes; strings are long and are searched, not walked.
std::size_t closing_quote(std::string_view text, std::size_t open) {
  for (std::size_t at = text.find('"', open + 1); at != std::string_view::npos;
       at = text.find('"', at + 1)) {
    std::size_t num_backslashes = 0;
    while (text[at - 1 - num_backslashes] == '\\') ++num_backslashes;
    if (num_backslashes % 2 == 0) return at;
  }
  return text.size();
}

// Counts the members of an object's source, repeated ones too.
std::size_t num_members(std::string_view text) {
  std::size_t count = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') i = closing_quote(text, i);
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == ':' && depth == 1) ++count;
  }
  return count;
}

// What the source of a row that is no JSON probably is.
std::string_view advice_on(std::string_view row) {
  if (row.starts_with("{'"))
    return "; Python's text of a dict is no JSON: write json.dumps(row), a row a line";
  if (row.starts_with('{') && !row.ends_with('}'))
    return "; the object does not end on its line: write a row a line, as jq -c . does";
  return "";
}

// A row of JSON; `row` points to it.
class JsonRow {
 public:
  RowOutcome parse(std::string_view text, RowView& row, std::string& problem) {
    if (const auto offset = find_invalid_utf8(text)) {
      problem = fmt::format("invalid UTF-8 at byte {} of the row", *offset + 1);
      return RowOutcome::kBad;
    }
    if (nests_deeper_than(text, kMaxJsonDepth)) {
      problem = fmt::format("brackets nest deeper than {} levels", kMaxJsonDepth);
      return RowOutcome::kBad;
    }
    try {
      json_ = Json::parse(text);
    } catch (const Json::parse_error& e) {
      const std::string_view rest =
          e.byte > 0 && e.byte <= text.size() ? text.substr(e.byte - 1) : std::string_view();
      const bool not_a_number = rest.starts_with("NaN") || rest.starts_with("Infinity");
      problem = fmt::format("broken JSON: {}{}{}", short_message(e.what()),
                            not_a_number ? " (NaN and Infinity are not JSON numbers)" : "",
                            advice_on(trimmed(text)));
      return RowOutcome::kBad;
    } catch (const Json::exception& e) {
      problem = fmt::format("broken JSON: {}", short_message(e.what()));
      return RowOutcome::kBad;
    }
    if (!json_.is_object()) {
      problem = fmt::format("expected a JSON object, found {}", json_.type_name());
      return RowOutcome::kBad;
    }
    if (row.object == nullptr) {
      refuse_columns(json_, row.file);
      refuse_wrapped_rows(json_, row.file);
    }
    row.object = &json_;
    row.repeated.clear();
    if (num_members(text) != json_.size()) row.repeated = repeated_keys(text);
    return RowOutcome::kRow;
  }

 private:
  Json json_;
};

class JsonlRows : public RowSource {
 public:
  JsonlRows(const std::filesystem::path& file, std::unique_ptr<ByteStream> bytes)
      : file_(file.string()), bytes_(std::move(bytes)) {}

  RowOutcome next(RowView& row, std::string& problem) override {
    while (bytes_->get_line(text_)) {
      ++line_;
      if (is_blank(text_)) continue;
      if (row.object == nullptr && trimmed(text_) == "{") refuse_document();
      return json_.parse(text_, row, problem);
    }
    return RowOutcome::kEnd;
  }

  std::string location() const override { return fmt::format("{}:{}", file_, line_); }

 private:
  // An indented JSON object begins with a bracket on a line of its own: no row does.
  void refuse_document() {
    constexpr std::size_t kMostBytes = std::size_t{64} << 20;
    std::string document = text_, line;
    while (document.size() < kMostBytes && bytes_->get_line(line)) document += "\n" + line;
    const Json json = Json::parse(document, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return;
    const std::optional<results::ResultKind> kind = results::result_kind(json);
    throw Error(ErrorKind::kInput, "{}: is {}, not rows; expected JSON lines or a list of objects",
                file_, kind ? results::result_kind_text(*kind) : "one JSON object");
  }

  std::string file_;
  std::unique_ptr<ByteStream> bytes_;
  std::string text_;
  JsonRow json_;
  std::int64_t line_ = 0;
};

// JSON lines in memory.
class JsonTextRows : public RowSource {
 public:
  JsonTextRows(std::string text, std::string name)
      : name_(std::move(name)), text_(std::move(text)) {}

  RowOutcome next(RowView& row, std::string& problem) override {
    while (begin_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', begin_), text_.size());
      const std::string_view line = std::string_view(text_).substr(begin_, end - begin_);
      begin_ = end + 1;
      if (is_blank(line)) continue;
      ++row_;
      return json_.parse(line, row, problem);
    }
    return RowOutcome::kEnd;
  }

  std::string location() const override { return fmt::format("{}, row {}", name_, row_); }

 private:
  std::string name_;
  std::string text_;
  std::size_t begin_ = 0;
  JsonRow json_;
  std::int64_t row_ = 0;
};

// Splits a JSON array into its elements without loading it whole: tracks strings and brackets only;
// the parser validates each element.
class JsonArrayRows : public RowSource {
 public:
  JsonArrayRows(const std::filesystem::path& file, std::unique_ptr<ByteStream> bytes)
      : file_(file.string()), bytes_(std::move(bytes)) {
    bytes_->get();  // the opening bracket
  }

  RowOutcome next(RowView& row, std::string& problem) override {
    if (closed_) return RowOutcome::kEnd;
    ++row_;
    const bool last = !read_element();
    if (last) expect_end();
    if (is_blank(text_)) {
      if (last && row_ == 1) return RowOutcome::kEnd;
      problem = "broken JSON: expected a value before the comma or the closing bracket";
      return RowOutcome::kBad;
    }
    return json_.parse(text_, row, problem);
  }

  std::string location() const override { return fmt::format("{}, row {}", file_, row_); }

 private:
  // Reads up to the comma (true) or the closing bracket (false) after the element.
  bool read_element() {
    text_.clear();
    int depth = 0;
    bool in_string = false;
    while (const std::optional<char> c = bytes_->get()) {
      if (in_string) {
        text_ += *c;
        if (*c == '\\') {
          if (const std::optional<char> escaped = bytes_->get()) text_ += *escaped;
        } else if (*c == '"') {
          in_string = false;
        }
        continue;
      }
      if (depth == 0 && *c == ',') return true;
      if (depth == 0 && *c == ']') return false;
      if (*c == '[' || *c == '{') ++depth;
      if (*c == ']' || *c == '}') --depth;
      in_string = *c == '"';
      text_ += *c;
    }
    throw Error(ErrorKind::kInput, "{}: the JSON array is not closed: the file ends inside it",
                location());
  }

  void expect_end() {
    closed_ = true;
    while (const std::optional<char> c = bytes_->get()) {
      if (!is_space(*c))
        throw Error(ErrorKind::kInput, "{}: unexpected text after the end of the JSON array",
                    location());
    }
  }

  std::string file_;
  std::unique_ptr<ByteStream> bytes_;
  std::string text_;
  JsonRow json_;
  std::int64_t row_ = 0;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<RowSource> open_json_text(std::string text, std::string name) {
  return std::make_unique<JsonTextRows>(std::move(text), std::move(name));
}

std::unique_ptr<RowSource> open_json_rows(const std::filesystem::path& file) {
  // A separate stream skips leading white space, so that line numbers count from the start of the
  // file.
  ByteStream probe(file);
  while (probe.peek() && is_space(*probe.peek())) probe.get();
  const std::optional<char> first = probe.peek();
  if (!first) throw Error(ErrorKind::kInput, "{}: the file is empty", file.string());
  auto bytes = std::make_unique<ByteStream>(file);
  if (*first != '[') return std::make_unique<JsonlRows>(file, std::move(bytes));
  while (bytes->peek() && is_space(*bytes->peek())) bytes->get();
  return std::make_unique<JsonArrayRows>(file, std::move(bytes));
}

}  // namespace charm::storage
