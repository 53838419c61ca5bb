#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "charm/records/conversation.h"
#include "charm/storage/provenance.h"

// A table as both writers see it: named, typed columns and the cells of a row.
namespace charm::storage {

enum class ColumnType {
  kText,
  kConversation,
  kMemberConversation,  ///< with the messages' members: in Parquet a third field, JSON text
  kTexts,
  kFloat,
  kDouble,
  kDoubles,
  kCount,
  kFlag
};

struct Column {
  std::string name;
  ColumnType type = ColumnType::kText;
};

/// monostate is null. Texts, conversations and lists point into the record.
using Cell = std::variant<std::monostate, std::string_view, const Conversation*,
                          const std::vector<std::string>*, float, double,
                          const std::vector<double>*, std::int32_t, bool>;

struct Table {
  std::vector<Column> columns;
  std::size_t num_rows = 0;
  /// Fills `cells` with one cell per column, of the column's type or null.
  std::function<void(std::size_t row, std::vector<Cell>& cells)> fill;
  Provenance provenance{};  ///< Parquet only
};

/// The extension selects the format: .parquet, .jsonl or .jsonl.gz; throws kUsage for others.
void write_table(const std::filesystem::path& path, const Table& table);

/// Parquet with zstd: strings, list<struct<role, content[, members]>>, float32, float64, int32,
/// bool, lists. Equal tables give equal bytes.
void write_parquet(const std::filesystem::path& path, const Table& table);

/// The rows of a Parquet file with all their columns and its metadata, and at the end a column of
/// float64, one value for each row (in place of one of that name). Throws kInput if their numbers
/// differ.
void write_with_column(const std::filesystem::path& input, const std::filesystem::path& output,
                       const std::string& column, std::span<const std::optional<double>> values);

/// One object per line, columns in order, nulls included. Equal tables give equal bytes, also with
/// `gzip`.
void write_jsonl(const std::filesystem::path& path, const Table& table, bool gzip);

}  // namespace charm::storage
