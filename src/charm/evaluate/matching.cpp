#include "charm/evaluate/matching.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_map>

#include "charm/base/error.h"

namespace charm::evaluate {

std::vector<std::size_t> match(const std::vector<std::string>& keys_a,
                               const std::vector<std::string>& keys_b, const NameOfRow& name_a,
                               const NameOfRow& name_b, std::string_view what,
                               std::string_view advice) {
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < keys_b.size(); ++i) place.emplace(keys_b[i], i);
  std::vector<std::size_t> row_of_b, only_a, only_b;
  std::vector<bool> is_used(keys_b.size(), false);
  for (std::size_t i = 0; i < keys_a.size(); ++i) {
    const auto it = place.find(keys_a[i]);
    if (it == place.end()) {
      only_a.push_back(i);
      continue;
    }
    row_of_b.push_back(it->second);
    is_used[it->second] = true;
  }
  for (std::size_t i = 0; i < keys_b.size(); ++i) {
    if (!is_used[i]) only_b.push_back(i);
  }
  std::vector<std::string> differences;
  if (!only_a.empty()) {
    differences.push_back(
        fmt::format("{} only in A (first: {})", only_a.size(), name_a(only_a.front())));
  }
  if (!only_b.empty()) {
    differences.push_back(
        fmt::format("{} only in B (first: {})", only_b.size(), name_b(only_b.front())));
  }
  if (differences.empty()) return row_of_b;
  throw Error(ErrorKind::kInput, "the two runs hold different {}: {}; {}", what,
              fmt::join(differences, ", "), advice);
}

std::string response_key(const std::string& policy, const std::string& prompt_id,
                         std::int32_t sample) {
  return fmt::format("{}\x1f{}\x1f{}", policy, prompt_id, sample);
}

CommonScores common_scores(std::span<const Score> a, std::span<const Score> b) {
  const auto keys = [](std::span<const Score> rows) {
    std::vector<std::string> all;
    for (const Score& row : rows)
      all.push_back(response_key(row.policy, row.prompt_id, row.sample));
    return all;
  };
  const auto name_of = [](std::span<const Score> rows) {
    return [rows](std::size_t i) {
      return fmt::format("policy {}, prompt {}, sample {}", rows[i].policy, rows[i].prompt_id,
                         rows[i].sample);
    };
  };
  const std::vector<std::size_t> row_of_b =
      match(keys(a), keys(b), name_of(a), name_of(b), "responses",
            "a comparison needs the same policies and prompts in both");
  CommonScores common;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Score& other = b[row_of_b[i]];
    if (a[i].error || other.error) {
      ++common.num_excluded;
      continue;
    }
    common.a.push_back(a[i]);
    common.b.push_back(other);
  }
  return common;
}

}  // namespace charm::evaluate
