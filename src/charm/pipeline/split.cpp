#include "charm/pipeline/split.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/records/conversation.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::pipeline {

void import_responses(const fs::path& input, const storage::ReadOptions& read,
                      const std::string& policy, const fs::path& prompts_file,
                      const fs::path& output) {
  std::vector<Response> rows = storage::read_responses(input, read);
  std::set<std::string> policies;
  for (const Response& row : rows) policies.insert(row.policy);
  if (policies.size() > 1) {
    if (policies.count(policy) == 0) {
      std::string names;
      for (const std::string& name : policies) names += (names.empty() ? "" : ", ") + name;
      throw Error(ErrorKind::kInput, "{}: contains the policies {}, but none named '{}'",
                  input.string(), names, policy);
    }
    std::erase_if(rows, [&](const Response& row) { return row.policy != policy; });
  }
  if (!prompts_file.empty()) {
    std::set<std::string> wanted;
    for (const Prompt& prompt : storage::read_prompts(prompts_file, {}))
      wanted.insert(prompt.prompt_id);
    std::erase_if(rows, [&](const Response& row) { return wanted.count(row.prompt_id) == 0; });
  }
  if (rows.empty()) {
    throw Error(ErrorKind::kInput, "{}: has no responses to the prompts in {}", input.string(),
                prompts_file.string());
  }
  for (Response& row : rows) row.policy = policy;
  storage::write_responses(output, rows);
}

void split_scores(std::span<const SplitFile> files, std::uint64_t seed, double share,
                  const fs::path& facts) {
  std::set<std::string> fit_prompts, held_out_prompts;
  for (const SplitFile& file : files) {
    std::vector<ScoredResponse> rows = storage::read_scored_responses(file.scores, {});
    const auto middle = std::stable_partition(
        rows.begin(), rows.end(),
        [&](const ScoredResponse& row) { return !is_held_out(row.response.prompt, seed, share); });
    const std::span<const ScoredResponse> fit(rows.begin(), middle), held_out(middle, rows.end());
    if (fit.empty() || held_out.empty()) {
      throw Error(ErrorKind::kInput, "{}: holdout {} leaves {} rows to fit on and {} to check on",
                  file.scores.string(), share, fit.size(), held_out.size());
    }
    for (const ScoredResponse& row : fit) fit_prompts.insert(row.response.prompt_id);
    for (const ScoredResponse& row : held_out) held_out_prompts.insert(row.response.prompt_id);
    const storage::Provenance provenance =
        storage::read_provenance(file.scores).value_or(storage::Provenance());
    storage::write_scores(file.fit, fit, provenance);
    storage::write_scores(file.held_out, held_out, provenance);
  }
  const nlohmann::ordered_json json = {{"holdout", share},
                                       {"seed", seed},
                                       {"num_prompts_fit", fit_prompts.size()},
                                       {"num_prompts_held_out", held_out_prompts.size()},
                                       {"note",
                                        "calibration and preferences use the prompts of fit/, "
                                        "mismatch and arena correlation those of held-out/"}};
  write_file(facts, json.dump(2) + "\n");
}

}  // namespace charm::pipeline
