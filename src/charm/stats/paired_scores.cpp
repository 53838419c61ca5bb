#include "charm/stats/paired_scores.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/records/score.h"

namespace charm::stats {
namespace {

// Files in which each policy appears; a policy belongs to exactly one.
std::unordered_map<std::string, std::size_t> file_of_policies(std::span<const ScoreFile> files) {
  std::unordered_map<std::string, std::size_t> file_of;
  for (std::size_t file = 0; file < files.size(); ++file) {
    for (const Score& row : files[file].rows) {
      const auto [place, is_new] = file_of.try_emplace(row.policy, file);
      if (!is_new && place->second != file) {
        throw Error(ErrorKind::kInput,
                    "policy '{}' occurs in two files: {} and {}; pass only one of them, or rename "
                    "the policy in one",
                    row.policy, files[place->second].name, files[file].name);
      }
    }
  }
  return file_of;
}

std::vector<std::string> policies_in_order(std::span<const ScoreFile> files) {
  std::vector<std::string> names;
  std::unordered_map<std::string, bool> seen;
  for (const ScoreFile& file : files) {
    for (const Score& row : file.rows) {
      if (seen.try_emplace(row.policy, true).second) names.push_back(row.policy);
    }
  }
  return names;
}

[[noreturn]] void throw_unknown_policy(std::string_view name, std::span<const std::string> known) {
  throw Error(ErrorKind::kUsage, "no scores of policy '{}'; nearest names in the scores: {}", name,
              fmt::join(nearest_names(name, known), ", "));
}

}  // namespace

std::string dropped_rows_text(const PairedScores& scores) {
  std::int64_t num_dropped = 0;
  std::vector<std::string> policies;
  for (std::size_t p = 0; p < scores.num_policies(); ++p) {
    const PolicyScores& policy = scores.policy(p);
    if (policy.num_errors == 0) continue;
    num_dropped += policy.num_errors;
    policies.push_back(fmt::format("{} {}", policy.policy, policy.num_errors));
  }
  if (policies.empty()) return "";
  return fmt::format("{} rows carry an error instead of a score and are dropped: {}", num_dropped,
                     fmt::join(policies, ", "));
}

std::string common_prompts_text(std::span<const std::int64_t> num_common,
                                std::int64_t num_prompts) {
  CHARM_CHECK(!num_common.empty(), "no pair of policies");
  const auto [fewest, most] = std::minmax_element(num_common.begin(), num_common.end());
  if (*fewest < *most) {
    return fmt::format("{} to {} common prompts a pair (of {} in all)", *fewest, *most,
                       num_prompts);
  }
  if (*most == num_prompts) return fmt::format("{} common prompts", num_prompts);
  return fmt::format("{} common prompts ({} of {} are not common)", *most, num_prompts - *most,
                     num_prompts);
}

void check_distinct_without_case(std::span<const std::string> names) {
  std::unordered_map<std::string, std::string> seen;
  for (const std::string& name : names) {
    std::string folded = name;
    for (char& letter : folded) {
      if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
    const auto [place, is_new] = seen.try_emplace(folded, name);
    if (!is_new) {
      throw Error(ErrorKind::kInput,
                  "policies '{}' and '{}' differ only in case; rename or exclude one of them",
                  place->second, name);
    }
  }
}

PairedScores::PairedScores(std::span<const ScoreFile> files, const PairedScoresOptions& options)
    : options_(options) {
  const auto file_of = file_of_policies(files);
  const std::vector<std::string> present = policies_in_order(files);
  const auto require = [&](const std::string& name) {
    if (!file_of.contains(name)) throw_unknown_policy(name, present);
  };
  for (const std::string& name : options.policies) require(name);
  if (!options.first_policy.empty()) require(options.first_policy);

  std::unordered_map<std::string, std::size_t> index;
  for (const std::string& name : present) {
    const auto& wanted = options.policies;
    if (!wanted.empty() && name != options.first_policy &&
        std::find(wanted.begin(), wanted.end(), name) == wanted.end()) {
      continue;
    }
    index.emplace(name, policies_.size());
    policies_.push_back({.policy = name, .file = files[file_of.at(name)].name});
  }
  check_distinct_without_case(names());
  rows_.resize(policies_.size());

  std::size_t most_rows = 0;
  for (const ScoreFile& file : files) most_rows = std::max(most_rows, file.rows.size());
  std::unordered_map<std::string_view, std::uint32_t> prompt_index;  // views into `files`
  std::unordered_map<std::uint64_t, std::uint32_t> key_index;        // of prompt and sample
  prompt_index.reserve(most_rows);
  key_index.reserve(most_rows);
  const auto add = [&](const Score& row, const ScoreFile& file) {
    const auto place = index.find(row.policy);
    if (place == index.end()) return;
    PolicyScores& policy = policies_[place->second];
    if (row.error) {
      ++policy.num_errors;
      return;
    }
    if (!std::isfinite(row.score)) {
      throw Error(ErrorKind::kInput,
                  "{}: score of policy '{}' on prompt '{}' is {}, expected a finite number",
                  file.name, row.policy, row.prompt_id, row.score);
    }
    const auto prompt =
        prompt_index.try_emplace(row.prompt_id, static_cast<std::uint32_t>(prompt_index.size()));
    const std::uint64_t prompt_and_sample =
        std::uint64_t{prompt.first->second} << 32U | static_cast<std::uint32_t>(row.sample);
    const auto key =
        key_index.try_emplace(prompt_and_sample, static_cast<std::uint32_t>(key_index.size()));
    if (key.second) keys_.push_back({.prompt_id = row.prompt_id, .sample = row.sample});
    rows_[place->second].push_back({.key = key.first->second,
                                    .prompt = prompt.first->second,
                                    .score = static_cast<double>(row.score)});
    ++policy.num_scores;
    policy.mean_score += static_cast<double>(row.score);
  };
  // The first policy's rows give the order; its file is read again below for the other policies it
  // may hold.
  const auto add_file = [&](const ScoreFile& file, bool first_pass) {
    for (const Score& row : file.rows) {
      if ((row.policy == options.first_policy) == first_pass) add(row, file);
    }
  };
  for (const ScoreFile& file : files) add_file(file, true);
  for (const ScoreFile& file : files) add_file(file, false);
  num_prompts_ = prompt_index.size();

  for (std::size_t p = 0; p < policies_.size(); ++p) {
    PolicyScores& policy = policies_[p];
    if (policy.num_scores == 0) {
      throw Error(ErrorKind::kInput,
                  "{}: policy '{}' has no score: all of its {} rows carry an error", policy.file,
                  policy.policy, policy.num_errors);
    }
    policy.mean_score /= static_cast<double>(policy.num_scores);
    auto& rows = rows_[p];
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    const auto repeated = std::adjacent_find(
        rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key == b.key; });
    if (repeated == rows.end()) continue;
    throw Error(ErrorKind::kInput,
                "{}: policy '{}' has two rows for prompt '{}' with the same sample number; number "
                "the samples in column 'sample', or remove the repetition",
                policy.file, policy.policy, keys_[repeated->key].prompt_id);
  }
}

std::vector<std::string> PairedScores::names() const {
  std::vector<std::string> names;
  names.reserve(policies_.size());
  for (const PolicyScores& policy : policies_) names.push_back(policy.policy);
  return names;
}

std::size_t PairedScores::index_of(std::string_view name) const {
  for (std::size_t p = 0; p < policies_.size(); ++p) {
    if (policies_[p].policy == name) return p;
  }
  throw_unknown_policy(name, names());
}

PairRows PairedScores::pair(std::size_t over, std::size_t ref) const {
  const auto& a = rows_[over];
  const auto& b = rows_[ref];
  PairRows pair;
  pair.over.reserve(std::min(a.size(), b.size()));
  pair.ref.reserve(std::min(a.size(), b.size()));
  pair.key.reserve(std::min(a.size(), b.size()));
  pair.prompt.reserve(std::min(a.size(), b.size()));
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i].key < b[j].key) {
      ++i;
    } else if (b[j].key < a[i].key) {
      ++j;
    } else {
      pair.over.push_back(a[i].score);
      pair.ref.push_back(b[j].score);
      pair.key.push_back(a[i].key);
      pair.prompt.push_back(a[i].prompt);
      ++i;
      ++j;
    }
  }
  std::vector<std::uint32_t> prompts = pair.prompt;
  std::sort(prompts.begin(), prompts.end());
  pair.num_prompts = std::unique(prompts.begin(), prompts.end()) - prompts.begin();
  pair.missing_over = static_cast<std::int64_t>(b.size() - pair.ref.size());
  pair.missing_ref = static_cast<std::int64_t>(a.size() - pair.over.size());

  const PolicyScores& first = policies_[over];
  const PolicyScores& second = policies_[ref];
  if (pair.num_prompts == 0) {
    throw Error(ErrorKind::kInput,
                "policies '{}' ({}) and '{}' ({}) have no prompt in common; rows are joined by "
                "prompt_id, so both must answer the same prompts",
                first.policy, first.file, second.policy, second.file);
  }
  if (options_.strict && (pair.missing_over > 0 || pair.missing_ref > 0)) {
    throw Error(ErrorKind::kInput,
                "{} rows of '{}' ({}) have no score of '{}', and {} rows of '{}' ({}) have none of "
                "'{}'; without --strict they are dropped",
                pair.missing_ref, first.policy, first.file, second.policy, pair.missing_over,
                second.policy, second.file, first.policy);
  }
  if (pair.num_prompts < options_.min_prompts) {
    throw Error(
        ErrorKind::kInput,
        "policies '{}' and '{}' have {} prompts in common, expected at least {} (--min-prompts)",
        first.policy, second.policy, pair.num_prompts, options_.min_prompts);
  }
  return pair;
}

}  // namespace charm::stats
