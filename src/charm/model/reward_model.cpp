#include "charm/model/reward_model.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <string>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/kernels/kernels.h"
#include "charm/model/decoder.h"

namespace charm::model {
namespace {

/// A decoder with its head, on one device.
class DecoderRewardModel final : public RewardModel {
 public:
  DecoderRewardModel(Decoder decoder, std::vector<std::pair<std::string, std::string>> provenance)
      : decoder_(std::move(decoder)), provenance_(std::move(provenance)) {}

  std::vector<float> score(const batch::PackedBatch& batch) override {
    const c10::InferenceMode guard;
    const at::Tensor scores = decoder_.forward(decoder_.layout(batch)).to(at::kCPU).contiguous();
    const float* data = scores.const_data_ptr<float>();
    std::vector<float> result(data, data + scores.numel());
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!std::isfinite(result[i])) {
        throw Error(ErrorKind::kInput, "the model gave the score {} (row {} of this batch); expected a finite number{}",
                    result[i], batch.rows[i],
                    config().stored_dtype == "float16" ? ": float16 weights may overflow, try --dtype float32" : "");
      }
    }
    return result;
  }

  std::int64_t vocab_size() const override { return config().vocab_size; }
  std::int64_t max_positions() const override { return config().max_positions; }
  std::int32_t pad_token_id() const override { return config().pad_token_id; }
  std::vector<std::pair<std::string, std::string>> provenance() const override { return provenance_; }

 private:
  const DecoderConfig& config() const { return decoder_.config(); }

  Decoder decoder_;
  std::vector<std::pair<std::string, std::string>> provenance_;
};

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

std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir, const RewardModelOptions& options) {
  at::set_num_threads(options.threads > 0 ? options.threads : static_cast<int>(available_processors()));
  const c10::InferenceMode guard;
  const DecoderConfig config = load_model_config(model_dir);
  if (config.head == HeadKind::kNone) {
    throw Error(ErrorKind::kInput, "{}: {} has no score head; train one first: charm train --new-head", model_dir.string(),
                config.architecture);
  }
  const bool cuda = use_cuda(options.device);
  const bool bfloat16 = computes_in_bfloat16(options.dtype, cuda);
  DecoderWeights weights =
      load_weights(model_dir, config, {.dtype = bfloat16 ? at::kBFloat16 : at::kFloat, .share_file = !cuda});

  std::vector<std::pair<std::string, std::string>> provenance = {
      {"architecture", config.architecture}, {"dtype", bfloat16 ? "bfloat16" : "float32"}, {"device", cuda ? "cuda" : "cpu"}};
  if (cuda) {
    for (auto& [name, tensor] : named_weights(weights, config)) *tensor = tensor->to(at::kCUDA);
    return std::make_unique<DecoderRewardModel>(Decoder(config, std::move(weights), nn::Mode::kAutograd), provenance);
  }
  const nn::GemmBackend backend = choose_gemm_backend(weights);
  provenance.emplace_back("gemm_backend", nn::gemm_backend_name(backend));
  provenance.emplace_back("instruction_set", kernels::instruction_set());
  log::debug("{}: {} on cpu, {} threads, products by {}, kernels for {}", model_dir.string(), bfloat16 ? "bfloat16" : "float32",
             at::get_num_threads(), nn::gemm_backend_name(backend), kernels::instruction_set());
  return std::make_unique<DecoderRewardModel>(Decoder(config, std::move(weights), nn::Mode::kInference, backend), provenance);
}

}  // namespace charm::model
