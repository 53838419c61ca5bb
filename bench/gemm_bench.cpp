// GFLOP/s of a linear layer with our GEMM and the libraries', at the shapes of several models;
// prints JSON.
//   gemm_bench [float32|bfloat16] [threads] [seconds per measurement]
// Measures CPU time of all threads, not elapsed time, and interleaves the backends: robust to other
// load on the machine.

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/engine/linear.h"
#include "charm/kernels/gemm.h"
#include "charm/kernels/thread_pool.h"

namespace {

using namespace charm;

struct Layer {
  const char* name;
  std::int64_t inputs, outputs;
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <typename Element>
nlohmann::ordered_json measure(const Layer& layer, std::int64_t rows, double seconds) {
  const auto dtype = std::is_same_v<Element, float> ? at::kFloat : at::kBFloat16;
  const at::Tensor weight = (at::randn({layer.outputs, layer.inputs}) * 0.02).to(dtype);
  const at::Tensor x = at::randn({rows, layer.inputs}).to(dtype);
  at::Tensor out = at::randn({rows, layer.outputs}).to(dtype);
  const auto packed = kernels::PackedWeight::pack(
      static_cast<const Element*>(weight.const_data_ptr()), static_cast<const Element*>(nullptr),
      layer.outputs, layer.inputs);
  const std::vector<kernels::GemmOutput<Element>> outputs = {
      {.weight = &packed,
       .out = static_cast<Element*>(out.mutable_data_ptr()),
       .row_stride = layer.outputs}};
  const engine::Linear onednn =
      engine::Linear::packed(weight, {}, engine::GemmBackend::kOneDnnPacked);
  const std::vector<std::pair<const char*, std::function<void()>>> backends = {
      {"charm",
       [&] {
         kernels::gemm<Element>(static_cast<const Element*>(x.const_data_ptr()), layer.inputs, rows,
                                outputs);
       }},
      {"onednn_96_rows", [&] { onednn.forward(x); }},
      {"at_linear", [&] { at::linear(x, weight); }},
  };
  std::vector<double> best(backends.size(), 1e30);
  const double end = cpu_seconds() + seconds * static_cast<double>(backends.size());
  for (int round = 0; round < 3 || cpu_seconds() < end; ++round) {
    for (std::size_t w = 0; w < backends.size(); ++w) {
      const double start = cpu_seconds();
      backends[w].second();
      best[w] = std::min(best[w], cpu_seconds() - start);
    }
  }
  nlohmann::ordered_json entry = {
      {"layer", layer.name}, {"rows", rows}, {"inputs", layer.inputs}, {"outputs", layer.outputs}};
  const double flop = 2.0 * static_cast<double>(rows * layer.inputs * layer.outputs);
  for (std::size_t w = 0; w < backends.size(); ++w)
    entry[backends[w].first] = std::round(flop / best[w] / 1e8) / 10;
  return entry;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string dtype = argc > 1 ? argv[1] : "float32";
  const int threads = argc > 2 ? std::stoi(argv[2]) : 1;
  at::set_num_threads(threads);
  charm::kernels::set_num_threads(threads);
  const double seconds = argc > 3 ? std::stod(argv[3]) : 0.3;
  const c10::InferenceMode guard;
  nlohmann::ordered_json result = {
      {"bench", "gemm"}, {"dtype", dtype}, {"unit", "GFLOP per processor second"}};
  for (const Layer& layer :
       {Layer{"24M up", 384, 1024}, Layer{"SmolLM2 q", 576, 576}, Layer{"SmolLM2 up", 576, 1536},
        Layer{"SmolLM2 down", 1536, 576}, Layer{"82M up", 768, 2304}, Layer{"82M down", 2304, 768},
        Layer{"1B q", 2048, 2048}, Layer{"1B up", 2048, 8192}, Layer{"1B down", 8192, 2048}}) {
    for (const std::int64_t rows : {1, 8, 64, 96, 960, 4032}) {
      result["results"].push_back(dtype == "bfloat16"
                                      ? measure<kernels::BFloat16>(layer, rows, seconds)
                                      : measure<float>(layer, rows, seconds));
      std::cerr << result["results"].back() << "\n";
    }
  }
  std::cout << result.dump(2) << "\n";
}
