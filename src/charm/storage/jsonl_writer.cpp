#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/storage/byte_stream.h"
#include "charm/storage/table.h"

namespace charm::storage {
namespace {

nlohmann::ordered_json conversation_value(const Conversation& conversation) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Message& message : conversation) {
    if (message.members.empty()) {
      list.push_back({{"role", message.role}, {"content", message.content}});
    } else {
      list.push_back(nlohmann::ordered_json::parse(message_json(message)));
    }
  }
  return list;
}

nlohmann::ordered_json cell_value(const Cell& cell) {
  return std::visit(
      [](const auto& value) -> nlohmann::ordered_json {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, const Conversation*>) {
          return conversation_value(*value);
        } else if constexpr (std::is_same_v<T, float>) {
          // The shortest decimal that reads back as this float: 0.1, not 0.10000000149011612.
          return std::stod(fmt::format("{}", value));
        } else if constexpr (std::is_pointer_v<T>) {
          return *value;
        } else {
          return value;
        }
      },
      cell);
}

std::string table_lines(const std::filesystem::path& path, const Table& table) {
  std::string text;
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < table.num_rows; ++i) {
    table.fill(i, cells);
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (std::size_t k = 0; k < cells.size(); ++k)
      row[table.columns[k].name] = cell_value(cells[k]);
    try {
      text += row.dump();
    } catch (const nlohmann::json::exception& e) {
      throw Error(ErrorKind::kInput, "{}, row {}: cannot be written as JSON: {}", path.string(),
                  i + 1, e.what());
    }
    text += '\n';
  }
  return text;
}

}  // namespace

void write_jsonl(const std::filesystem::path& path, const Table& table, bool gzip) {
  const std::string text = table_lines(path, table);
  write_file(path, gzip ? gzip_bytes(text, /*effort=*/6) : text);
}

}  // namespace charm::storage
