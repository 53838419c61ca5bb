#include "charm/torch/load_decoder.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/decoder.h"
#include "charm/engine/weights_folder.h"
#include "charm/torch/device.h"

namespace charm::torch {
namespace {

/// Uploads a stored tensor and releases its pages: the host holds two pinned buffers, not the
/// model.
class Upload {
 public:
  Upload(const at::Device& device, at::ScalarType dtype) : upload_(device), dtype_(dtype) {}

  at::Tensor operator()(const engine::Tensor& stored, bool float32) {
    if (!stored.defined()) return {};
    at::Tensor placed = upload_.upload(view_of(stored), float32 ? at::kFloat : dtype_);
    engine::release_pages(stored);
    return placed;
  }

  void finish() { upload_.finish(); }

 private:
  DeviceUpload upload_;
  at::ScalarType dtype_;
};

}  // namespace

at::Device device_of(engine::DeviceChoice choice) {
  if (choice == engine::DeviceChoice::kCpu) return at::kCPU;
  // Whatever the environment says: no TF32, and no sums of bfloat16 products in reduced precision.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  return at::kCUDA;
}

LoadedDecoder load_on_device(const engine::ModelSource& source, const engine::DecoderConfig& config,
                             const engine::RewardModelOptions& options, bool lm_head) {
  // The host converts weights while it uploads them.
  at::set_num_threads(options.threads > 0 ? options.threads
                                          : static_cast<int>(available_processors()));
  const c10::InferenceMode guard;
  const at::Device device = device_of(options.device);
  const bool bfloat16 = engine::computes_in_bfloat16(options.dtype, device.is_cuda());
  const at::ScalarType dtype = bfloat16 ? at::kBFloat16 : at::kFloat;
  auto provenance =
      engine::model_provenance(source, config, bfloat16, device.is_cuda() ? "cuda" : "cpu");
  return with_device_errors(
      "use a smaller model, or --dtype bfloat16, or --device cpu", [&]() -> LoadedDecoder {
        const engine::DecoderWeights weights = engine::load_weights(
            source, config,
            {.dtype = bfloat16 ? engine::DType::kBFloat16 : engine::DType::kFloat32,
             .as_stored = true,
             .lm_head = lm_head});
        const AttentionKernel attention = choose_attention_kernel(config, dtype, device);
        Upload upload(device, dtype);
        Decoder decoder(config, weights, std::ref(upload), Use::kInference, attention);
        upload.finish();
        provenance.emplace_back("gemm_backend", device.is_cuda() ? "cublas" : "aten");
        provenance.emplace_back("attention", attention_kernel_name(attention));
        log::debug("{}: {} on {}, attention by {}", source.folder.string(),
                   bfloat16 ? "bfloat16" : "float32", device.str(),
                   attention_kernel_name(attention));
        return {std::move(decoder), std::move(provenance)};
      });
}

}  // namespace charm::torch
