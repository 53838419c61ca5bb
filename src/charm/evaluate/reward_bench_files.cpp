#include "charm/evaluate/reward_bench_files.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"

namespace charm::evaluate {
namespace {

void put_model(nlohmann::json& json, const RewardBenchModel& model) {
  json["model"] = model.name;
  json["model_type"] = "Seq. Classifier";
  json["chat_template"] = model.chat_template;
}

nlohmann::json empty_columns(std::initializer_list<const char*> names) {
  nlohmann::json json;
  for (const char* name : names) json[name] = nlohmann::json::array();
  return json;
}

/// The ids of version 1 are integers.
nlohmann::json id_json(const std::string& id) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error == std::errc() && end == id.data() + id.size()) return number;
  return id;
}

/// As Python's json.dumps(indent=4, sort_keys=True): nlohmann::json keeps its keys sorted.
std::string dump(const nlohmann::json& json) { return json.dump(4, ' ', /*ensure_ascii=*/true); }

void write(const fs::path& folder, const std::string& set, const RewardBenchModel& model,
           const nlohmann::json& accuracies, const nlohmann::json& scores) {
  write_file(folder / set / (model.name + ".json"), dump(accuracies));
  write_file(folder / (set + "-scores") / (model.name + ".json"), dump(scores));
}

}  // namespace

nlohmann::json reward_bench_accuracies(const results::Evaluation& result,
                                       const RewardBenchModel& model, bool prior_sets) {
  nlohmann::json json;
  for (const results::BenchmarkPart& subset : result.subsets) {
    if (prior_set(subset.name).empty() == prior_sets) continue;
    const std::optional<Estimate> accuracy = subset.metrics.find("accuracy");
    json[subset.name] = accuracy ? nlohmann::json(accuracy->value) : nlohmann::json();
  }
  put_model(json, model);
  return json;
}

nlohmann::json reward_bench_scores(std::span<const ScoredEvalItem> rows,
                                   const RewardBenchModel& model, bool prior_sets) {
  nlohmann::json json =
      empty_columns({"id", "subset", "results", "scores_chosen", "scores_rejected"});
  for (const ScoredEvalItem& row : rows) {
    if (prior_set(row.item.subset).empty() == prior_sets) continue;
    json["id"].push_back(id_json(row.item.id));
    json["subset"].push_back(row.item.subset);
    json["results"].push_back(row.score_chosen[0] > row.score_rejected[0] ? 1 : 0);
    json["scores_chosen"].push_back(row.score_chosen[0]);
    json["scores_rejected"].push_back(row.score_rejected[0]);
  }
  put_model(json, model);
  return json;
}

nlohmann::json reward_bench_2_scores(std::span<const ScoredEvalItem> rows,
                                     const RewardBenchModel& model) {
  nlohmann::json json = empty_columns({"id", "subset", "num_correct", "scores", "results"});
  for (const ScoredEvalItem& row : rows) {
    std::vector<double> scores = row.score_chosen;
    scores.insert(scores.end(), row.score_rejected.begin(), row.score_rejected.end());
    json["id"].push_back(row.item.id);
    json["subset"].push_back(row.item.subset);
    json["num_correct"].push_back(row.score_chosen.size());
    json["scores"].push_back(std::move(scores));
    json["results"].push_back(best_of_n_result(row));
  }
  put_model(json, model);
  return json;
}

void write_reward_bench_files(const fs::path& folder, const results::Evaluation& result,
                              std::span<const ScoredEvalItem> rows, const RewardBenchModel& model) {
  if (result.benchmark == benchmark_name(Benchmark::kRewardBench2)) {
    write(folder, "eval-set", model, reward_bench_accuracies(result, model),
          reward_bench_2_scores(rows, model));
    return;
  }
  const auto is_prior = [](const results::BenchmarkPart& subset) {
    return !prior_set(subset.name).empty();
  };
  if (!std::ranges::all_of(result.subsets, is_prior)) {
    write(folder, "eval-set", model, reward_bench_accuracies(result, model),
          reward_bench_scores(rows, model));
  }
  if (std::ranges::any_of(result.subsets, is_prior)) {
    write(folder, "pref-sets", model, reward_bench_accuracies(result, model, /*prior_sets=*/true),
          reward_bench_scores(rows, model, /*prior_sets=*/true));
  }
}

}  // namespace charm::evaluate
