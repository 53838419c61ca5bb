// Scores prompt groups of a JSON file with a reward model and prints one JSON object: the charm
// side of score_bench.py.
//   score_model_bench MODEL_DIR GROUPS.json [float32|bfloat16] [threads] [rounds] [budget_tokens]
// GROUPS.json: {"groups": [{"prompt": [ids], "responses": [[ids], ...]}, ...]}

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<charm::engine::PromptGroup> read_groups(const std::string& path) {
  std::ifstream file(path);
  std::vector<charm::engine::PromptGroup> groups;
  std::size_t row = 0;
  const auto document = nlohmann::json::parse(file);
  for (const auto& entry : document.at("groups")) {
    charm::engine::PromptGroup group;
    entry.at("prompt").get_to(group.prompt_ids);
    entry.at("responses").get_to(group.responses);
    for (std::size_t r = 0; r < group.responses.size(); ++r) group.rows.push_back(row++);
    groups.push_back(std::move(group));
  }
  return groups;
}

int run(const std::vector<std::string>& args) {
  using namespace charm;
  const std::string dtype = args.size() > 2 ? args[2] : "float32";
  const int threads = args.size() > 3 ? std::stoi(args[3]) : 0;
  const int rounds = args.size() > 4 ? std::stoi(args[4]) : 1;
  const std::int64_t budget_tokens = args.size() > 5 ? std::stoll(args[5]) : 8192;

  const auto load_start = Clock::now();
  const auto reward_model = engine::load_reward_model(
      args[0], {.dtype = dtype == "bfloat16" ? engine::DTypeChoice::kBFloat16
                                             : engine::DTypeChoice::kFloat32,
                .device = engine::DeviceChoice::kCpu,
                .threads = threads});
  const double load_s = seconds_since(load_start);

  std::int64_t useful_tokens = 0;
  std::int64_t computed_tokens = 0;
  std::size_t num_rows = 0;
  const std::vector<engine::PromptGroup> groups = read_groups(args[1]);
  for (const auto& group : groups) {
    for (const auto& response : group.responses) {
      useful_tokens += static_cast<std::int64_t>(group.prompt_ids.size() + response.size());
      ++num_rows;
    }
  }
  std::vector<engine::PackedBatch> batches;
  for (const auto& batch_groups : engine::plan_batches(groups, budget_tokens)) {
    batches.push_back(engine::pack(batch_groups));
    computed_tokens += batches.back().num_tokens();
  }

  if (batches.empty()) throw std::runtime_error("no groups in " + args[1]);
  reward_model->score(batches.front());  // warm-up of threads and allocator, as for the peers
  std::vector<float> scores(num_rows);
  std::vector<double> rounds_s, rounds_cpu_s;
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    const std::clock_t cpu_start = std::clock();
    for (const auto& packed : batches) {
      const std::vector<float> found = reward_model->score(packed);
      for (std::size_t i = 0; i < found.size(); ++i) scores[packed.rows[i]] = found[i];
    }
    rounds_s.push_back(seconds_since(start));
    rounds_cpu_s.push_back(static_cast<double>(std::clock() - cpu_start) /
                           CLOCKS_PER_SEC);  // of all threads
  }

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  Json result;
  result["load_s"] = load_s;
  result["rounds_s"] = rounds_s;
  result["rounds_cpu_s"] = rounds_cpu_s;
  result["useful_tokens"] = useful_tokens;
  result["computed_tokens"] = computed_tokens;
  result["peak_memory_mib"] = static_cast<double>(usage.ru_maxrss) / 1024.0;
  for (const auto& [key, value] : reward_model->provenance()) result["model"][key] = value;
  result["scores"] = scores;
  std::cout << result.dump() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() < 2) {
    std::cerr << "usage: score_model_bench MODEL_DIR GROUPS.json [float32|bfloat16] [threads] "
                 "[rounds] [budget_tokens]\n";
    return 2;
  }
  try {
    return run(args);
  } catch (const std::exception& error) {
    std::cerr << "score_model_bench: " << error.what() << "\n";
    return 1;
  }
}
