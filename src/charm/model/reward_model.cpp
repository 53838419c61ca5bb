#include "charm/model/reward_model.h"

#include <c10/core/InferenceMode.h>

#include <cmath>
#include <string>
#include <utility>

#include "charm/base/error.h"
#include "charm/model/load_decoder.h"

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

}  // namespace

std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir, const RewardModelOptions& options) {
  const DecoderConfig config = load_model_config(model_dir);
  if (config.head == HeadKind::kNone) {
    throw Error(ErrorKind::kInput, "{}: {} has no score head; train one first: charm train --new-head", model_dir.string(),
                config.architecture);
  }
  LoadedDecoder loaded = load_decoder(model_dir, config, options, /*lm_head=*/false);
  return std::make_unique<DecoderRewardModel>(std::move(loaded.decoder), std::move(loaded.provenance));
}

}  // namespace charm::model
