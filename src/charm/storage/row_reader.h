#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "charm/storage/read_options.h"
#include "charm/storage/row_view.h"

namespace charm::storage {

class RowSource;

/// Streams the rows of a data set: JSONL, a JSON array, both also gzipped, Parquet
/// (a file or a folder of shards), Arrow IPC files and Hugging Face `save_to_disk` folders. The
/// format is detected from the content, not the name.
///
///     RowReader rows(path, options);
///     while (const RowView* row = rows.next()) {
///       if (!usable(*row)) rows.reject("column 'x': expected a number");
///     }
///
/// Not thread-safe.
class RowReader {
 public:
  /// Opens the first file; throws kIo or kInput. `columns` limits what is read from columnar files
  /// (empty: all of them); columns that a file does not have are ignored.
  RowReader(const std::filesystem::path& path, const ReadOptions& options,
            std::vector<std::string> columns = {});
  /// Rows in memory: `name` stands for the file in messages and names the policy.
  RowReader(std::unique_ptr<RowSource> source, std::string name, const ReadOptions& options);
  ~RowReader();
  RowReader(RowReader&&) noexcept;
  RowReader& operator=(RowReader&&) = delete;

  /// The next row, valid until the next call; nullptr at the end. Rows that are not JSON objects or
  /// not UTF-8 are rejected (see `reject`) and skipped.
  const RowView* next();

  /// Counts the current row as bad. Throws kInput with the first bad row's message if more than
  /// max_bad_rows are bad.
  void reject(std::string_view why);

  /// Location of the current row: "file:line" for JSONL, "file, row N" (from 1) otherwise.
  std::string location() const;

  /// The file of the current row: in a folder of shards, the shard.
  const std::filesystem::path& file() const;

  /// Policy name of rows without a policy column: the file's name without its extensions, or for
  /// shards and `save_to_disk` folders the folder's name.
  std::string policy_name() const;

  std::int64_t num_rows() const;      ///< rows returned or rejected so far
  std::int64_t num_bad_rows() const;  ///< rows rejected so far

  /// Logs how many rows were skipped and throws kInput if none was valid. Call after the last row.
  void finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The file's name without folders and without .gz, .jsonl, .json, .parquet, .arrow:
/// "a/gemma-2b.jsonl.gz" -> "gemma-2b".
std::string policy_name_of(const std::filesystem::path& path);

}  // namespace charm::storage
