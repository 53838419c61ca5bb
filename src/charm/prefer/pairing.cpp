#include "charm/prefer/pairing.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/records/score.h"
#include "charm/results/calibration.h"

namespace charm::prefer {
namespace {

// One response of a group: index of its policy in the calibration, and its score.
struct Candidate {
  std::size_t policy = 0;
  std::size_t row = 0;
  double score = 0.0;  // calibrated
};

// The responses to one prompt (and sample) in the calibration's order of policies.
using Group = std::vector<Candidate>;

std::vector<Group> group_by_prompt(std::span<const Score> scores, const Offsets& offsets,
                                   bool joins_samples) {
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t p = 0; p < offsets.policies.size(); ++p) place.emplace(offsets.policies[p], p);
  std::unordered_map<std::string, std::size_t> group_of;
  std::vector<Group> groups;
  for (std::size_t row = 0; row < scores.size(); ++row) {
    const Score& score = scores[row];
    const auto policy = place.find(score.policy);
    if (policy == place.end() || score.error) continue;
    std::string key = score.prompt_id;
    if (!joins_samples) key += '\0' + std::to_string(score.sample);
    const auto [group, is_new] = group_of.emplace(key, groups.size());
    if (is_new) groups.emplace_back();
    // Offsets are added in float64, so that equal scores stay equal under equal offsets.
    groups[group->second].push_back(
        {policy->second, row, double{score.score} + offsets.offsets[policy->second]});
  }
  for (Group& group : groups) {
    // Samples of a policy stay in the order of the files.
    std::stable_sort(group.begin(), group.end(),
                     [](const auto& a, const auto& b) { return a.policy < b.policy; });
  }
  return groups;
}

// The pairs to compare; ties go to the first candidate.
std::vector<std::pair<Candidate, Candidate>> candidate_pairs(const Group& group,
                                                             const PairingOptions& options,
                                                             std::size_t reference) {
  std::vector<std::pair<Candidate, Candidate>> pairs;
  const auto by_score = [](const Candidate& a, const Candidate& b) { return a.score < b.score; };
  switch (options.pairs.value_or(Pairs::kAll)) {
    case Pairs::kBestWorst: {
      // The first of the highest and the last of the lowest: two different ones even when all are
      // equal.
      const auto best = std::max_element(group.begin(), group.end(), by_score);
      const auto worst = std::min_element(group.rbegin(), group.rend(), by_score);
      pairs.emplace_back(*best, *worst);
      break;
    }
    case Pairs::kVsReference:
      for (const Candidate& a : group) {
        for (const Candidate& b : group) {
          if (b.policy == reference && a.policy != reference) {
            pairs.emplace_back(std::min(a.policy, b.policy) == a.policy ? std::pair(a, b)
                                                                        : std::pair(b, a));
          }
        }
      }
      break;
    case Pairs::kAll:
      for (std::size_t i = 0; i < group.size(); ++i) {
        for (std::size_t j = i + 1; j < group.size(); ++j) pairs.emplace_back(group[i], group[j]);
      }
      break;
  }
  return pairs;
}

// The best response and its rejected one. Ties go to the first candidate.
std::pair<Candidate, Candidate> best_of_n_pair(const Group& group, const PairingOptions& options,
                                               const std::string& prompt_id) {
  const auto by_score = [](const Candidate& a, const Candidate& b) { return a.score < b.score; };
  const Candidate best = *std::max_element(group.begin(), group.end(), by_score);
  const Candidate worst = *std::min_element(group.rbegin(), group.rend(), by_score);
  if (options.rejected == Rejected::kWorst) return {best, worst};
  std::vector<Candidate> lower;
  for (const Candidate& candidate : group) {
    if (candidate.score < best.score) lower.push_back(candidate);
  }
  if (lower.empty()) return {best, worst};  // all equal
  RandomStream random(options.seed, "prefer-rejected/" + prompt_id);
  return {best, lower[random.below(lower.size())]};
}

std::size_t num_policies(const Group& group) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    count += i == 0 || group[i].policy != group[i - 1].policy;
  }
  return count;
}

// Adds the pair unless the options filter it, and counts it.
void add_pair(const Candidate& first, const Candidate& second, const PairingOptions& options,
              Pairing& pairing) {
  const bool tie = first.score == second.score;
  if (tie) ++pairing.counts.num_ties;
  if (tie && options.ties == Ties::kDrop) return;
  const bool first_wins = first.score >= second.score;
  const Candidate& chosen = first_wins ? first : second;
  const Candidate& rejected = first_wins ? second : first;
  if (chosen.score - rejected.score < options.min_margin) {
    ++pairing.counts.num_below_margin;
    return;
  }
  pairing.pairs.push_back({chosen.row, rejected.row, chosen.score, rejected.score});
}

}  // namespace

std::string_view pairs_name(Pairs pairs) {
  switch (pairs) {
    case Pairs::kBestWorst:
      return "best-worst";
    case Pairs::kVsReference:
      return "vs-reference";
    case Pairs::kAll:
      return "all";
  }
  throw Error(ErrorKind::kInternal, "unknown choice of pairs {}", static_cast<int>(pairs));
}

Offsets read_offsets(const std::filesystem::path& path) {
  const results::Calibration calibration = results::read_calibration(path);
  Offsets offsets;
  offsets.reference = calibration.reference;
  if (calibration.held_out) offsets.holdout = calibration.held_out->share;
  offsets.seed = calibration.options.seed;
  for (const results::CalibratedPolicy& policy : calibration.policies) {
    offsets.policies.push_back(policy.policy);
    offsets.offsets.push_back(policy.offset.value);
  }
  return offsets;
}

Pairing pair_scores(std::span<const Score> scores, const Offsets& offsets,
                    const PairingOptions& options) {
  const auto reference = static_cast<std::size_t>(
      std::find(offsets.policies.begin(), offsets.policies.end(), offsets.reference) -
      offsets.policies.begin());
  Pairing pairing;
  // The samples of a prompt are groups of their own, but one prompt.
  std::unordered_set<std::string_view> prompts, incomplete_prompts;
  for (const Group& group : group_by_prompt(scores, offsets, options.best_of_n)) {
    const std::string& prompt_id = scores[group.front().row].prompt_id;
    if (num_policies(group) < offsets.policies.size()) incomplete_prompts.insert(prompt_id);
    if (group.size() < 2) continue;
    prompts.insert(prompt_id);
    if (options.best_of_n) {
      const auto [first, second] = best_of_n_pair(group, options, prompt_id);
      add_pair(first, second, options, pairing);
      continue;
    }
    for (const auto& [first, second] : candidate_pairs(group, options, reference)) {
      add_pair(first, second, options, pairing);
    }
  }
  pairing.counts.num_prompts = std::ssize(prompts);
  pairing.counts.num_incomplete_prompts = std::ssize(incomplete_prompts);
  return pairing;
}

}  // namespace charm::prefer
