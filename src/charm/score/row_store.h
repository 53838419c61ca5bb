#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "charm/records/response.h"

namespace charm::score {

/// What tells the rows of a run apart: policy, prompt_id, sample.
using RowKey = std::tuple<std::string, std::string, std::int32_t>;
inline RowKey key_of(const Response& row) { return {row.policy, row.prompt_id, row.sample}; }

/// The responses to score: each text once, equal prompts shared. Everything after it is an index or
/// a column. Reading is thread-safe.
class RowStore {
 public:
  RowStore() = default;
  explicit RowStore(std::vector<Response> rows);

  void add(Response row);
  /// Makes room for further rows.
  void reserve(std::size_t num_rows);

  std::size_t size() const { return rows_.size(); }
  /// A row; its `prompt` is empty, see `prompt`.
  const Response& operator[](std::size_t row) const { return rows_[row]; }
  const Conversation& prompt(std::size_t row) const { return prompts_[prompt_of_row_[row]]; }
  /// Equal for rows with equal prompts; below `num_prompts`.
  std::size_t prompt_index(std::size_t row) const { return prompt_of_row_[row]; }
  std::size_t num_prompts() const { return prompts_.size(); }
  /// All rows, in order.
  std::vector<std::size_t> all_rows() const;

 private:
  std::size_t intern(Conversation prompt);

  std::vector<Response> rows_;
  std::vector<std::uint32_t> prompt_of_row_;
  std::vector<Conversation> prompts_;
  std::unordered_multimap<std::size_t, std::uint32_t> prompts_by_hash_;
};

}  // namespace charm::score
