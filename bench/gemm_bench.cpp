// GFLOP/s of a linear layer at the shapes of several models; prints JSON.
//   gemm_bench [float32|bfloat16] [threads] [seconds per measurement]
// Measures CPU time of all threads, not elapsed time: robust to other load on the machine.

#include <algorithm>
#include <cmath>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "charm/base/random.h"
#include "charm/engine/ops.h"
#include "charm/kernels/thread_pool.h"

namespace {

using namespace charm;

struct Layer {
  const char* name;
  std::int64_t inputs, outputs;
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Of the layer's weight, uniform numbers around 0.
engine::Tensor random_tensor(std::int64_t rows, std::int64_t cols, engine::DType dtype,
                             float scale) {
  RandomStream stream(static_cast<std::uint64_t>(rows * cols), "gemm_bench");
  engine::Tensor values = engine::Tensor::empty({rows, cols}, engine::DType::kFloat32);
  for (std::int64_t i = 0; i < values.numel(); ++i)
    values.mutable_data<float>()[i] = scale * static_cast<float>(stream.normal());
  return values.to(dtype);
}

nlohmann::ordered_json measure(const Layer& layer, std::int64_t rows, engine::DType dtype,
                               double seconds) {
  const engine::Linear linear =
      engine::Linear::pack(random_tensor(layer.outputs, layer.inputs, dtype, 0.02F), {});
  const engine::Tensor x = random_tensor(rows, layer.inputs, dtype, 1.0F);
  const engine::Projection to[] = {{&linear, engine::Tensor::zeros({rows, layer.outputs}, dtype)}};
  double best = 1e30;
  const double end = cpu_seconds() + seconds;
  for (int round = 0; round < 3 || cpu_seconds() < end; ++round) {
    const double start = cpu_seconds();
    engine::project(x, to);
    best = std::min(best, cpu_seconds() - start);
  }
  const double flop = 2.0 * static_cast<double>(rows * layer.inputs * layer.outputs);
  return {{"layer", layer.name},
          {"rows", rows},
          {"inputs", layer.inputs},
          {"outputs", layer.outputs},
          {"charm", std::round(flop / best / 1e8) / 10}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string dtype = argc > 1 ? argv[1] : "float32";
  const int threads = argc > 2 ? std::stoi(argv[2]) : 1;
  charm::kernels::set_num_threads(threads);
  const double seconds = argc > 3 ? std::stod(argv[3]) : 0.3;
  nlohmann::ordered_json result = {
      {"bench", "gemm"}, {"dtype", dtype}, {"unit", "GFLOP per processor second"}};
  for (const Layer& layer :
       {Layer{"24M up", 384, 1024}, Layer{"SmolLM2 q", 576, 576}, Layer{"SmolLM2 up", 576, 1536},
        Layer{"SmolLM2 down", 1536, 576}, Layer{"82M up", 768, 2304}, Layer{"82M down", 2304, 768},
        Layer{"1B q", 2048, 2048}, Layer{"1B up", 2048, 8192}, Layer{"1B down", 8192, 2048}}) {
    for (const std::int64_t rows : {1, 8, 64, 96, 960, 4032}) {
      const engine::DType type =
          dtype == "bfloat16" ? engine::DType::kBFloat16 : engine::DType::kFloat32;
      result["results"].push_back(measure(layer, rows, type, seconds));
      std::cerr << result["results"].back() << "\n";
    }
  }
  std::cout << result.dump(2) << "\n";
}
