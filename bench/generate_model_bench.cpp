// Decodes greedily with a causal LM, ignoring EOS, and prints timings: the charm side of
// generate_bench.py.
//   generate_model_bench MODEL_DIR [float32|bfloat16] [threads]
// First output line: loading. Then for each input line, {"streams": 16, "prompt": 32, "new": 128},
// one output line.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "charm/base/parallel.h"
#include "charm/engine/causal_lm.h"
#include "charm/generate/continuous_batch.h"
#include "charm/generate/sampler.h"

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Memory read bandwidth of all threads in bytes per second: the best of several reductions over a
/// buffer much larger than the caches.
double read_bandwidth(std::size_t threads) {
  const std::vector<std::uint64_t> buffer(std::size_t{1} << 27, 1);  // 1 GiB
  const std::size_t share = buffer.size() / threads;
  double best = 0.0;
  for (int round = 0; round < 5; ++round) {
    const auto start = Clock::now();
    std::atomic<std::uint64_t> total{0};
    charm::parallel_for(threads, threads, [&](std::size_t thread) {
      std::uint64_t sums[32] = {};
      for (std::size_t i = thread * share; i + 32 <= (thread + 1) * share; i += 32) {
        for (std::size_t k = 0; k < 32; ++k) sums[k] += buffer[i + k];
      }
      for (const std::uint64_t sum : sums) total += sum;
    });
    if (total == 0) return 0.0;
    best = std::max(best, static_cast<double>(share * threads) * 8.0 / seconds_since(start));
  }
  return best;
}

Json run_job(charm::engine::CausalLM& model, const Json& job, int threads) {
  using namespace charm::generate;
  const auto streams = job.at("streams").get<std::size_t>();
  const auto prompt_tokens = job.at("prompt").get<std::size_t>();
  const auto new_tokens = job.at("new").get<std::size_t>();
  const Sampler sampler({.temperature = job.value("temperature", 0.0), .top_p = 0.9});
  std::vector<std::size_t> generated(streams, 0);
  std::size_t next = 0, first = 0;
  const auto start = Clock::now();
  const std::clock_t cpu_start = std::clock();
  double prefill_s = 0.0;
  run_continuous_batch(
      model,
      {.max_sequences = static_cast<std::int64_t>(streams),
       .num_threads = static_cast<std::size_t>(threads)},
      {.next_prompt = [&]() -> std::optional<TokenPrompt> {
         if (next == streams) return std::nullopt;
         TokenPrompt prompt{.ids = std::vector<std::int32_t>(prompt_tokens), .sequences = {next}};
         for (std::size_t i = 0; i < prompt_tokens; ++i) {
           prompt.ids[i] = static_cast<std::int32_t>((next * 7919 + i * 104729 + 17) % 40000 + 20);
         }
         ++next;
         return prompt;
       },
       .next_token = [&](std::size_t s,
                         std::span<const float> logits) -> std::optional<std::int32_t> {
         if (generated[s] == 0 && ++first == streams) prefill_s = seconds_since(start);
         const std::int32_t token =
             sampler.next(logits, {}, {"bench", static_cast<std::int32_t>(s), 0});
         return ++generated[s] < new_tokens ? std::optional(token) : std::nullopt;
       },
       .on_finished =
           [](std::size_t, const std::optional<std::string>& error) {
             if (error) throw std::runtime_error(*error);
           }});
  const double total_s = seconds_since(start);
  return {{"total_s", total_s},
          {"filled_s", prefill_s},
          {"cpu_s", static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC},
          {"tokens", streams * new_tokens}};
}

int run(const std::vector<std::string>& args) {
  using namespace charm;
  const std::string dtype = args.size() > 1 ? args[1] : "float32";
  const int threads = args.size() > 2 ? std::stoi(args[2]) : 0;
  const auto start = Clock::now();
  const auto model =
      engine::load_causal_lm(args[0], {.dtype = dtype == "bfloat16" ? engine::DTypeChoice::kBFloat16
                                                                    : engine::DTypeChoice::kFloat32,
                                       .device = engine::DeviceChoice::kCpu,
                                       .threads = threads});
  Json loaded = {{"load_s", seconds_since(start)},
                 {"read_bytes_per_s", read_bandwidth(threads > 0 ? static_cast<std::size_t>(threads)
                                                                 : available_processors())}};
  for (const auto& [key, value] : model->provenance()) loaded["model"][key] = value;
  std::cout << loaded.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    Json result = run_job(*model, Json::parse(line), threads);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    result["peak_memory_mib"] = static_cast<double>(usage.ru_maxrss) / 1024.0;
    std::cout << result.dump() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty()) {
    std::cerr << "usage: generate_model_bench MODEL_DIR [float32|bfloat16] [threads]\n";
    return 2;
  }
  try {
    return run(args);
  } catch (const std::exception& error) {
    std::cerr << "generate_model_bench: " << error.what() << "\n";
    return 1;
  }
}
