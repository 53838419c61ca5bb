#include "charm/storage/row_reader.h"

#include <array>
#include <fstream>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/strings.h"
#include "charm/storage/foreign_formats.h"
#include "charm/storage/row_source.h"

namespace charm::storage {

std::string policy_name_of(const std::filesystem::path& path) {
  std::filesystem::path name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  for (const char* extension :
       {".jsonl", ".json", ".ndjson", ".parquet", ".arrow", ".feather", ".csv", ".tsv"}) {
    if (name.extension() == extension) return name.stem().string();
  }
  return name.string();
}

std::optional<ColumnarFormat> columnar_format_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::array<char, kFormatHeadBytes> start{};
  if (!stream) throw Error(ErrorKind::kIo, "{}: cannot open", file.string());
  stream.read(start.data(), start.size());
  const std::string_view head(start.data(), static_cast<std::size_t>(stream.gcount()));
  if (head.empty()) throw Error(ErrorKind::kInput, "{}: the file is empty", file.string());
  if (head.starts_with("PAR1")) return ColumnarFormat::kParquet;
  refuse_lfs_pointer(head, file.string());
  if (head.starts_with("ARROW1")) return ColumnarFormat::kArrowFile;
  // An Arrow stream starts with the continuation marker of a message.
  if (head.starts_with("\xFF\xFF\xFF\xFF")) return ColumnarFormat::kArrowStream;
  refuse_foreign_format(head, file.string());
  return std::nullopt;
}

std::unique_ptr<RowSource> open_row_source(const std::filesystem::path& file,
                                           const std::vector<std::string>& columns) {
  if (const auto format = columnar_format_of(file))
    return open_columnar_rows(file, *format, columns);
  if (file.extension() == ".parquet" || file.extension() == ".arrow") {
    throw Error(ErrorKind::kInput,
                "{}: has no {} header; the file may be corrupt or in another format", file.string(),
                file.extension() == ".parquet" ? "Parquet" : "Arrow");
  }
  if (file.extension() == ".gz" &&
      (file.stem().extension() == ".parquet" || file.stem().extension() == ".arrow")) {
    throw Error(
        ErrorKind::kInput,
        "{}: is compressed as a whole, which no reader of Parquet or Arrow takes: unpack it "
        "with gunzip",
        file.string());
  }
  if (is_csv(file)) return open_csv_rows(file);
  return open_json_rows(file);
}

struct RowReader::State {
  std::filesystem::path path;
  ReadOptions options;
  std::vector<std::string> columns;
  std::vector<DataFile> files;
  std::size_t file = 0;
  std::unique_ptr<RowSource> source;
  std::int64_t num_rows = 0;
  std::int64_t num_bad_rows = 0;
  std::string first_problem;
  RowView row;

  /// Columns with names of the user's, in place of the first of those in common use.
  void set_names(const ColumnNames& names) {
    const auto rename = [&](const char* name, const std::optional<std::string>& stored) {
      if (!stored) return;
      row.stored_as.emplace_back(name, *stored);
      if (!columns.empty()) columns.push_back(*stored);
    };
    rename("prompt", names.prompt);
    rename("response", names.response);
    rename("policy", names.policy);
  }

  /// What is wrong with the current row; empty if it has all the columns that the user named.
  std::string missing_column() const {
    for (const auto& [name, stored] : row.stored_as) {
      if (row.contains(name) || row.has(name)) continue;
      const std::vector<std::string> nearest = nearest_names(stored, row.column_names(), 1);
      return fmt::format("--{}-column: no column '{}'{}; the row has the columns: {}", name, stored,
                         nearest.empty() ? "" : ", the nearest is '" + nearest.front() + "'",
                         row.names());
    }
    return "";
  }

  void open() {
    const DataFile& data = files[file];
    source = open_row_source(data.path, columns);
    row.object = nullptr;
    row.is_csv = false;
    row.columns.clear();
    row.file_columns.clear();
    row.repeated.clear();
    row.partition = data.partition;
    row.file = data.path.string();
  }
};

RowReader::RowReader(const std::filesystem::path& path, const ReadOptions& options,
                     std::vector<std::string> columns)
    : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->options = options;
  state_->columns = std::move(columns);
  state_->set_names(options.columns);
  state_->files = data_files_of(path, options.split);
  state_->open();
}

RowReader::RowReader(std::unique_ptr<RowSource> source, std::string name,
                     const ReadOptions& options)
    : state_(std::make_unique<State>()) {
  state_->path = name;
  state_->options = options;
  state_->files = {DataFile{.path = name, .policy_name = name}};
  state_->source = std::move(source);
  state_->row.file = std::move(name);
}

RowReader::~RowReader() = default;
RowReader::RowReader(RowReader&&) noexcept = default;

const RowView* RowReader::next() {
  State& s = *state_;
  std::string problem;
  while (true) {
    switch (s.source->next(s.row, problem)) {
      case RowOutcome::kRow:
        ++s.num_rows;
        problem = s.missing_column();
        if (problem.empty()) return &s.row;
        reject(problem);
        break;
      case RowOutcome::kBad:
        ++s.num_rows;
        reject(problem);
        break;
      case RowOutcome::kEnd:
        if (s.file + 1 == s.files.size()) return nullptr;
        ++s.file;
        s.open();
        break;
    }
  }
}

void RowReader::reject(std::string_view why) {
  State& s = *state_;
  if (s.num_bad_rows++ == 0) s.first_problem = fmt::format("{}: {}", location(), why);
  if (s.num_bad_rows <= s.options.max_bad_rows) {
    log::debug("skipped {}: {}", location(), why);
    return;
  }
  if (s.options.max_bad_rows == 0) throw Error(ErrorKind::kInput, "{}", s.first_problem);
  throw Error(ErrorKind::kInput, "{} (the first of {} bad rows; --max-bad-rows allows {})",
              s.first_problem, s.num_bad_rows, s.options.max_bad_rows);
}

std::string RowReader::location() const { return state_->source->location(); }

const std::filesystem::path& RowReader::file() const { return state_->files[state_->file].path; }

std::string RowReader::policy_name() const { return state_->files[state_->file].policy_name; }

std::int64_t RowReader::num_rows() const { return state_->num_rows; }

std::int64_t RowReader::num_bad_rows() const { return state_->num_bad_rows; }

void RowReader::finish() const {
  const State& s = *state_;
  if (s.num_rows == 0) {
    std::error_code code;
    const bool is_folder = std::filesystem::is_directory(s.path, code);
    throw Error(ErrorKind::kInput, "{}: holds no rows{}", s.path.string(),
                is_folder ? "; the split is empty: choose another one or leave it out" : "");
  }
  if (s.num_bad_rows == s.num_rows) {
    throw Error(ErrorKind::kInput, "{}: none of its {} rows is valid; the first: {}",
                s.path.string(), s.num_rows, s.first_problem);
  }
  if (s.num_bad_rows > 0) {
    log::warning("{}: skipped {} of {} rows; the first: {}", s.path.string(), s.num_bad_rows,
                 s.num_rows, s.first_problem);
  }
}

}  // namespace charm::storage
