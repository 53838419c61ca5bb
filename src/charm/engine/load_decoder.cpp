#include "charm/engine/load_decoder.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/device.h"
#include "charm/engine/lora.h"
#include "charm/engine/model_source.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

/// Disables TF32, whatever the environment says, and reduced-precision accumulation of bfloat16
/// GEMMs.
void disable_reduced_precision() {
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
}

}  // namespace

bool use_cuda(DeviceChoice choice) {
  if (choice == DeviceChoice::kCpu) return false;  // does not query the driver
  const bool present = at::globalContext().hasCUDA();
  if (choice == DeviceChoice::kCuda && !present) {
    const bool built = c10::impl::hasDeviceGuardImpl(at::kCUDA);
    throw Error(
        ErrorKind::kResource, "--device cuda: {}; use --device cpu",
        built ? "no GPU is visible to this program (no driver, or CUDA_VISIBLE_DEVICES hides it)"
              : "this program was built without CUDA (cmake preset cuda)");
  }
  if (present) disable_reduced_precision();
  return present;
}

bool computes_in_bfloat16(DTypeChoice dtype, bool on_cuda) {
  switch (dtype) {
    case DTypeChoice::kFloat32:
      return false;
    case DTypeChoice::kBFloat16:
      return true;
    case DTypeChoice::kAuto:
      return on_cuda || has_native_bfloat16();
  }
  return false;
}

LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head) {
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(available_processors());
  kernels::set_num_threads(threads);
  at::set_num_threads(threads);
  const c10::InferenceMode guard;
  const bool cuda = use_cuda(options.device);
  const bool bfloat16 = computes_in_bfloat16(options.dtype, cuda);
  const LoadWeightsOptions weight_options{.dtype = bfloat16 ? at::kBFloat16 : at::kFloat,
                                          .share_file = !cuda,
                                          .lm_head = lm_head,
                                          .device = cuda ? at::kCUDA : at::kCPU};
  std::vector<std::pair<std::string, std::string>> provenance = {
      {"architecture", config.architecture},
      {"dtype", bfloat16 ? "bfloat16" : "float32"},
      {"device", cuda ? "cuda" : "cpu"}};
  for (const std::string& note : describe_stored(source).notes)
    log::info("{}: {}", source.folder.string(), note);
  if (source.adapter) provenance.emplace_back("adapter", LoraAdapter(*source.adapter).summary());
  if (source.adapter_left_out) provenance.emplace_back("adapter", "none");
  if (config.head == HeadKind::kLmLogit)
    provenance.emplace_back("head", fmt::format("lm-logit:{}", config.head_logit_id));
  if (config.score_mean != 0.0 || config.score_std != 1.0) {
    provenance.emplace_back("normalised", fmt::format("(score - {}) / {}, by config.json",
                                                      config.score_mean, config.score_std));
  }
  if (cuda) {
    return with_device_errors(
        "use a smaller model, or --dtype bfloat16, or --device cpu", [&]() -> LoadedDecoder {
          DecoderWeights weights = load_weights(source, config, weight_options);
          const AttentionKernel attention =
              choose_attention_kernel(config, weight_options.dtype, weights.embed_VD.device());
          provenance.emplace_back("gemm_backend", "cublas");
          provenance.emplace_back("attention", attention_kernel_name(attention));
          log::debug("{}: {} on cuda, attention by {}", source.folder.string(),
                     bfloat16 ? "bfloat16" : "float32", attention_kernel_name(attention));
          return {
              Decoder(config, std::move(weights), Mode::kGpu, GemmBackend::kAtenLinear, attention),
              std::move(provenance)};
        });
  }
  DecoderWeights weights = load_weights(source, config, weight_options);
  const GemmBackend backend = choose_gemm_backend(config, weights);
  if (backend == GemmBackend::kCharm)
    at::set_num_threads(1);  // ATen's remaining operators are not worth a second thread pool
  provenance.emplace_back("gemm_backend", gemm_backend_name(backend));
  provenance.emplace_back("instruction_set", kernels::instruction_set());
  log::debug("{}: {} on cpu, {} threads, GEMM by {}, kernels for {}", source.folder.string(),
             bfloat16 ? "bfloat16" : "float32", threads, gemm_backend_name(backend),
             kernels::instruction_set());
  return {Decoder(config, std::move(weights), Mode::kInference, backend), std::move(provenance)};
}

}  // namespace charm::engine
