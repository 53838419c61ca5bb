#include "charm/score/row_store.h"

#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include "charm/records/response.h"

namespace charm::score {
namespace {

std::size_t hash_of(const Conversation& prompt) {
  std::size_t hash = 0;
  const auto combine = [&hash](const std::string& text) {
    hash = hash * 0x9E3779B97F4A7C15U + std::hash<std::string>()(text);
  };
  for (const Message& message : prompt) {
    combine(message.role);
    combine(message.content);
    combine(message.members);
  }
  combine(prompt.tools);
  combine(prompt.template_kwargs);
  return hash;
}

}  // namespace

RowStore::RowStore(std::vector<Response> rows) {
  reserve(rows.size());
  for (Response& row : rows) add(std::move(row));
}

void RowStore::reserve(std::size_t num_rows) {
  rows_.reserve(rows_.size() + num_rows);
  prompt_of_row_.reserve(rows_.size() + num_rows);
}

void RowStore::add(Response row) {
  prompt_of_row_.push_back(
      static_cast<std::uint32_t>(intern(std::exchange(row.prompt, Conversation()))));
  rows_.push_back(std::move(row));
}

std::size_t RowStore::intern(Conversation prompt) {
  const std::size_t hash = hash_of(prompt);
  const auto [begin, end] = prompts_by_hash_.equal_range(hash);
  for (auto entry = begin; entry != end; ++entry) {
    if (prompts_[entry->second] == prompt) return entry->second;
  }
  prompts_by_hash_.emplace(hash, static_cast<std::uint32_t>(prompts_.size()));
  prompts_.push_back(std::move(prompt));
  return prompts_.size() - 1;
}

std::vector<std::size_t> RowStore::all_rows() const {
  std::vector<std::size_t> rows(size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

}  // namespace charm::score
