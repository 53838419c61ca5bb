#include "charm/evaluate/matching.h"

#include <fmt/format.h>

#include <unordered_map>

#include "charm/base/error.h"

namespace charm::evaluate {

Matching match(const std::vector<std::string>& keys_a, const std::vector<std::string>& keys_b) {
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < keys_b.size(); ++i) place.emplace(keys_b[i], i);
  Matching matching;
  std::vector<bool> is_used(keys_b.size(), false);
  for (std::size_t i = 0; i < keys_a.size(); ++i) {
    const auto it = place.find(keys_a[i]);
    if (it == place.end()) {
      matching.only_a.push_back(i);
      continue;
    }
    matching.row_of_b.push_back(it->second);
    is_used[it->second] = true;
  }
  for (std::size_t i = 0; i < keys_b.size(); ++i) {
    if (!is_used[i]) matching.only_b.push_back(i);
  }
  return matching;
}

std::string difference_text(const Matching& matching,
                            const std::function<std::string(std::size_t)>& name_a,
                            const std::function<std::string(std::size_t)>& name_b) {
  std::string text;
  if (!matching.only_a.empty()) {
    text += fmt::format("{} only in A (first: {})", matching.only_a.size(),
                        name_a(matching.only_a.front()));
  }
  if (!matching.only_b.empty()) {
    text += fmt::format("{}{} only in B (first: {})", text.empty() ? "" : ", ",
                        matching.only_b.size(), name_b(matching.only_b.front()));
  }
  return text;
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
  const Matching matching = match(keys(a), keys(b));
  if (!matching.is_complete()) {
    const auto name_of = [](std::span<const Score> rows) {
      return [rows](std::size_t i) {
        return fmt::format("policy {}, prompt {}, sample {}", rows[i].policy, rows[i].prompt_id,
                           rows[i].sample);
      };
    };
    throw Error(
        ErrorKind::kInput,
        "the two runs hold scores of different responses: {}; a comparison needs the same policies "
        "and prompts in both",
        difference_text(matching, name_of(a), name_of(b)));
  }
  CommonScores common;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Score& other = b[matching.row_of_b[i]];
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
