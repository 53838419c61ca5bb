#include "charm/evaluate/reward_bench_files.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace charm::evaluate {
namespace {

void put_model(nlohmann::json& json, const std::string& model) {
  json["model"] = model;
  json["model_type"] = "Seq. Classifier";
  json["chat_template"] = "tokenizer";
}

/// RewardBench's ids are whole numbers.
nlohmann::json id_json(const std::string& id) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error == std::errc() && end == id.data() + id.size()) return number;
  return id;
}

/// As Python's json.dumps(indent=4, sort_keys=True): nlohmann::json keeps its keys sorted.
std::string dump(const nlohmann::json& json) { return json.dump(4, ' ', /*ensure_ascii=*/true); }

}  // namespace

nlohmann::json reward_bench_accuracies(const RewardBenchResult& result, const std::string& model) {
  nlohmann::json json;
  for (const SubsetAccuracy& subset : result.subsets) json[subset.name] = subset.accuracy.value;
  put_model(json, model);
  return json;
}

nlohmann::json reward_bench_scores(std::span<const ScoredEvalItem> rows, const std::string& model) {
  nlohmann::json json;
  for (const char* column : {"id", "subset", "results", "scores_chosen", "scores_rejected"}) {
    json[column] = nlohmann::json::array();
  }
  for (const ScoredEvalItem& row : rows) {
    json["id"].push_back(id_json(row.item.id));
    json["subset"].push_back(row.item.subset);
    json["results"].push_back(row.score_chosen[0] > row.score_rejected[0] ? 1 : 0);
    json["scores_chosen"].push_back(row.score_chosen[0]);
    json["scores_rejected"].push_back(row.score_rejected[0]);
  }
  put_model(json, model);
  return json;
}

void write_reward_bench_files(const fs::path& folder, const RewardBenchResult& result,
                              std::span<const ScoredEvalItem> rows, const std::string& model) {
  write_file(folder / "eval-set" / (model + ".json"), dump(reward_bench_accuracies(result, model)));
  write_file(folder / "eval-set-scores" / (model + ".json"),
             dump(reward_bench_scores(rows, model)));
}

}  // namespace charm::evaluate
