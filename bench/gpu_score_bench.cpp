// Scoring speed on a GPU, with random weights of a real model's shape made on the device; prints
// one JSON object.
//   gpu_score_bench [--device cuda|cpu] [--shape llama-8b|tiny] [--layers N] [--prompts N]
//   [--rounds N] [--budget TOKENS]
//                   [--lengths FILE] [--save DIR]
// --lengths writes the drawn lengths for gpu_peer.py; --save writes the model as a folder, loads it
// again and times that.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/weight_names.h"
#include "charm/torch/back_end.h"
#include "charm/torch/decoder.h"
#include "charm/torch/host_copy.h"
#include "charm/torch/load_decoder.h"

namespace charm {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Shape {
  std::int64_t vocab, width, mlp, layers, heads, key_heads, head_dim;
};

// Llama-3.1-8B, and a tiny shape for a dry run.
constexpr Shape kLlama8B{128256, 4096, 14336, 32, 32, 8, 128};
constexpr Shape kTiny{2048, 256, 896, 4, 8, 2, 32};

Json config_json(const Shape& s) {
  return {{"architectures", {"LlamaForSequenceClassification"}},
          {"model_type", "llama"},
          {"vocab_size", s.vocab},
          {"hidden_size", s.width},
          {"intermediate_size", s.mlp},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.key_heads},
          {"head_dim", s.head_dim},
          {"max_position_embeddings", 8192},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false},
          {"id2label", {{"0", "LABEL_0"}}},
          {"pad_token_id", 0},
          {"torch_dtype", "bfloat16"}};
}

void synchronize(const at::Device& device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(0);
}

/// TFLOP/s of a [rows, inputs] x [outputs, inputs]^T GEMM on random data: the mean of `times` runs
/// after a warm-up.
double gemm_rate(std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                 const at::TensorOptions& options, int times) {
  const at::Tensor x = at::randn({rows, inputs}, options),
                   w = at::randn({outputs, inputs}, options);
  for (int i = 0; i < 3; ++i) at::linear(x, w);
  synchronize(options.device());
  const auto start = Clock::now();
  for (int i = 0; i < times; ++i) at::linear(x, w);
  synchronize(options.device());
  return 2.0 * static_cast<double>(rows * inputs * outputs) * times / seconds_since(start) / 1e12;
}

/// Random weights of a model, made on the device.
class RandomWeights {
 public:
  RandomWeights(const engine::DecoderConfig& config, const at::TensorOptions& options) {
    static const std::byte kNothing{};
    for (const engine::WeightSlot& slot : engine::weight_slots(shapes_, config)) {
      *slot.tensor = engine::Tensor::over(nullptr, &kNothing, slot.shape, engine::DType::kBFloat16);
      const auto of_slot = engine::is_float32(slot.kind) ? options.dtype(at::kFloat) : options;
      named_.emplace_back(slot.name, engine::is_norm(slot.kind)
                                         ? at::ones(slot.shape, of_slot)
                                         : at::randn(slot.shape, of_slot).mul_(0.02));
      by_shape_.emplace(slot.tensor, named_.back().second);
    }
  }

  torch::Decoder decoder(const engine::DecoderConfig& config,
                         torch::AttentionKernel attention) const {
    const torch::Place place = [&](const engine::Tensor& stored, bool) {
      return stored.defined() ? by_shape_.at(&stored) : at::Tensor();
    };
    return {config, shapes_, place, torch::Use::kInference, attention};
  }

  const std::vector<std::pair<std::string, at::Tensor>>& named() const { return named_; }

 private:
  engine::DecoderWeights shapes_;  ///< without elements
  std::vector<std::pair<std::string, at::Tensor>> named_;
  std::map<const engine::Tensor*, at::Tensor> by_shape_;
};

/// Prompts of about 240 tokens with seven responses of about 450, as bench/score_bench.py has them.
std::vector<engine::PromptGroup> draw_groups(std::int64_t count, std::int64_t vocab) {
  RandomStream stream(0, "gpu_score_bench");
  const auto ids = [&](double mean) {
    const auto length =
        static_cast<std::size_t>(std::llround(mean * (0.4 + 1.2 * stream.uniform())));
    std::vector<std::int32_t> tokens(length);
    for (auto& id : tokens)
      id = static_cast<std::int32_t>(1 + stream.below(static_cast<std::uint64_t>(vocab - 1)));
    return tokens;
  };
  std::vector<engine::PromptGroup> groups;
  std::size_t row = 0;
  for (std::int64_t p = 0; p < count; ++p) {
    engine::PromptGroup group{ids(240), {}, {}};
    for (int r = 0; r < 7; ++r) {
      group.responses.push_back(ids(450));
      group.rows.push_back(row++);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

/// All batches, two in flight, as in charm score.
std::vector<float> score(const torch::Decoder& decoder,
                         const std::vector<engine::PackedBatch>& batches) {
  std::vector<float> scores;
  torch::PrefixCache prefix;
  std::deque<torch::HostCopy> in_flight;
  const auto finish = [&] {
    const at::Tensor found = in_flight.front().wait();
    scores.insert(scores.end(), found.const_data_ptr<float>(),
                  found.const_data_ptr<float>() + found.numel());
    in_flight.pop_front();
  };
  for (const engine::PackedBatch& batch : batches) {
    in_flight.emplace_back(decoder.forward(decoder.layout(batch, &prefix)));
    if (in_flight.size() == 2) finish();
  }
  while (!in_flight.empty()) finish();
  return scores;
}

double gib(double bytes) { return bytes / (1 << 30); }

Json memory(const at::Device& device) {
  if (device.is_cpu()) return nullptr;
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(0);
  return {{"peak_gib", gib(static_cast<double>(stats.allocated_bytes[0].peak))},
          {"reserved_gib", gib(static_cast<double>(stats.reserved_bytes[0].peak))}};
}

/// Saves the model, loads it as the plug-in does and compares its scores.
Json save_and_load(const std::filesystem::path& folder, const Shape& shape,
                   const RandomWeights& weights, const engine::PackedBatch& batch,
                   engine::DeviceChoice device) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << config_json(shape).dump(2);
  std::vector<std::pair<std::string, engine::Tensor>> tensors;
  double bytes = 0.0;
  for (const auto& [name, tensor] : weights.named()) {
    tensors.emplace_back(name, torch::copy_to_host(tensor));
    bytes += static_cast<double>(tensor.nbytes());
  }
  const auto write_start = Clock::now();
  engine::write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  const double write_s = seconds_since(write_start);
  const auto load_start = Clock::now();
  const engine::ModelSource source = engine::resolve_model_source(folder, {});
  const auto loaded =
      torch::load_reward_model(source, engine::load_model_config(source),
                               {.dtype = engine::DTypeChoice::kBFloat16, .device = device});
  const double load_s = seconds_since(load_start);
  return {{"gib", gib(bytes)},
          {"write_s", write_s},
          {"load_s", load_s},
          {"load_gb_per_s", bytes / load_s / 1e9},
          {"first_score", loaded->score(batch).front()}};
}

int run(std::map<std::string, std::string> options) {
  const auto number = [&](const char* name, std::int64_t otherwise) {
    return options.contains(name) ? std::stoll(options[name]) : otherwise;
  };
  const bool cuda = options["device"] != "cpu";
  const auto choice = cuda ? engine::DeviceChoice::kCuda : engine::DeviceChoice::kCpu;
  const at::Device device = torch::device_of(choice);
  Shape shape = options["shape"] == "tiny" ? kTiny : kLlama8B;
  shape.layers = number("layers", shape.layers);
  const std::int64_t budget = number("budget", 16384);
  const engine::DecoderConfig config =
      engine::parse_model_config(config_json(shape).dump(), "gpu_score_bench");
  const auto tensor_options = at::TensorOptions().dtype(at::kBFloat16).device(device);
  const c10::InferenceMode guard;
  Json result;
  result["device"] = cuda ? "cuda" : "cpu";
  result["shape"] = config_json(shape);

  const bool large = shape.width >= 4096;
  const std::int64_t side = large ? 8192 : 512;
  const double peak = gemm_rate(side, side, side, tensor_options, large ? 20 : 3);
  result["gemm_peak"] = {{"side", side}, {"tflops", peak}};
  const std::int64_t rows = large ? budget : 512;
  const std::int64_t qkv = (shape.heads + 2 * shape.key_heads) * shape.head_dim;
  for (const auto& [name, in, out] : {std::tuple{"qkv", shape.width, qkv},
                                      std::tuple{"o", shape.heads * shape.head_dim, shape.width},
                                      std::tuple{"gate_up", shape.width, 2 * shape.mlp},
                                      std::tuple{"down", shape.mlp, shape.width}}) {
    result["products_tflops"][name] = gemm_rate(rows, in, out, tensor_options, large ? 10 : 3);
  }

  const auto make_start = Clock::now();
  const std::vector<engine::PromptGroup> groups = draw_groups(number("prompts", 48), shape.vocab);
  std::vector<engine::PackedBatch> batches;
  for (const auto& planned : engine::plan_batches(groups, budget))
    batches.push_back(engine::pack(planned));
  const torch::AttentionKernel attention =
      torch::choose_attention_kernel(config, at::kBFloat16, device);
  result["attention"] = torch::attention_kernel_name(attention);
  const torch::Decoder decoder = [&] {
    const RandomWeights weights(config, tensor_options);
    if (options.contains("save"))
      result["load"] = save_and_load(options["save"], shape, weights, batches.front(), choice);
    return weights.decoder(config, attention);
  }();
  if (cuda)
    c10::getDeviceAllocator(at::kCUDA)->resetPeakStats(0);  // without the parts of fused weights
  result["make_s"] = seconds_since(make_start);

  double useful = 0.0, computed = 0.0;
  Json lengths = Json::array();
  for (const auto& group : groups) {
    Json responses = Json::array();
    for (const auto& response : group.responses) {
      useful += static_cast<double>(group.prompt_ids.size() + response.size());
      responses.push_back(response.size());
    }
    computed += static_cast<double>(group.num_tokens());
    lengths.push_back({{"prompt", group.prompt_ids.size()}, {"responses", responses}});
  }
  if (options.contains("lengths"))
    std::ofstream(options["lengths"]) << Json{{"shape", config_json(shape)}, {"groups", lengths}};

  const std::vector<float> first = score(decoder, {batches.front()});
  for (const float s : first) {
    if (!std::isfinite(s)) throw std::runtime_error("a score is not finite");
  }
  if (result.contains("load")) {
    const double difference = std::abs(result["load"]["first_score"].get<double>() - first.front());
    result["load"]["score_difference"] = difference;
    if (difference > 0.05 * (1.0 + std::abs(first.front())))
      throw std::runtime_error("the loaded model gives other scores");
  }
  std::vector<double> rounds_s;
  for (std::int64_t round = 0; round < number("rounds", 3); ++round) {
    synchronize(device);
    const auto start = Clock::now();
    score(decoder, batches);
    rounds_s.push_back(seconds_since(start));
  }
  std::sort(rounds_s.begin(), rounds_s.end());
  const double median_s = rounds_s[rounds_s.size() / 2];
  // FLOPs of the blocks' GEMMs only, as in the peak. Attention, norms and RoPE count as overhead.
  const double block = static_cast<double>(
      shape.width * qkv + shape.heads * shape.head_dim * shape.width + 3 * shape.width * shape.mlp);
  const double flops = 2.0 * block * static_cast<double>(shape.layers) * computed;
  result["score"] = {{"budget_tokens", budget},
                     {"batches", batches.size()},
                     {"rounds_s", rounds_s},
                     {"useful_tokens", useful},
                     {"computed_tokens", computed},
                     {"useful_tokens_per_s", useful / median_s},
                     {"computed_tokens_per_s", computed / median_s},
                     {"product_tflops", flops / median_s / 1e12},
                     {"share_of_peak", flops / median_s / 1e12 / peak}};
  result["memory"] = memory(device);
  std::cout << result.dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace charm

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[std::string(argv[i]).substr(2)] = argv[i + 1];
  try {
    return charm::run(std::move(options));
  } catch (const std::exception& error) {
    std::cerr << "gpu_score_bench: " << error.what() << "\n";
    return 1;
  }
}
