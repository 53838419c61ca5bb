#include "charm/model/load_decoder.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/task_team.h"

namespace charm::model {
namespace {

bool use_cuda(DeviceChoice choice) {
  const bool present = at::globalContext().hasCUDA();
  if (choice == DeviceChoice::kCuda && !present) {
    throw Error(ErrorKind::kResource,
                "--device cuda: this program was built without CUDA or no GPU is visible; use --device cpu");
  }
  return choice != DeviceChoice::kCpu && present;
}

}  // namespace

bool computes_in_bfloat16(DTypeChoice dtype, bool on_cuda) {
  switch (dtype) {
    case DTypeChoice::kFloat32: return false;
    case DTypeChoice::kBFloat16: return true;
    case DTypeChoice::kAuto: return on_cuda || nn::has_native_bfloat16();
  }
  return false;
}

LoadedDecoder load_decoder(const std::filesystem::path& model_dir, const DecoderConfig& config, const RewardModelOptions& options,
                           bool lm_head) {
  const int threads = options.threads > 0 ? options.threads : static_cast<int>(available_processors());
  kernels::set_num_threads(threads);
  at::set_num_threads(threads);
  const c10::InferenceMode guard;
  const bool cuda = use_cuda(options.device);
  const bool bfloat16 = computes_in_bfloat16(options.dtype, cuda);
  DecoderWeights weights = load_weights(
      model_dir, config, {.dtype = bfloat16 ? at::kBFloat16 : at::kFloat, .share_file = !cuda, .lm_head = lm_head});

  std::vector<std::pair<std::string, std::string>> provenance = {
      {"architecture", config.architecture}, {"dtype", bfloat16 ? "bfloat16" : "float32"}, {"device", cuda ? "cuda" : "cpu"}};
  if (cuda) {
    for (auto& [name, tensor] : named_weights(weights, config)) *tensor = tensor->to(at::kCUDA);
    if (lm_head) weights.lm_head_VD = config.tie_word_embeddings ? weights.embed_VD : weights.lm_head_VD.to(at::kCUDA);
    return {Decoder(config, std::move(weights), nn::Mode::kAutograd), std::move(provenance)};
  }
  const nn::GemmBackend backend = choose_gemm_backend(weights);
  if (backend == nn::GemmBackend::kCharm) at::set_num_threads(1);  // what is left to ATen is not worth waking threads of its own
  provenance.emplace_back("gemm_backend", nn::gemm_backend_name(backend));
  provenance.emplace_back("instruction_set", kernels::instruction_set());
  log::debug("{}: {} on cpu, {} threads, products by {}, kernels for {}", model_dir.string(), bfloat16 ? "bfloat16" : "float32",
             threads, nn::gemm_backend_name(backend), kernels::instruction_set());
  return {Decoder(config, std::move(weights), nn::Mode::kInference, backend), std::move(provenance)};
}

}  // namespace charm::model
