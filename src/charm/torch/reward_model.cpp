#include "charm/engine/reward_model.h"

#include <c10/core/InferenceMode.h>

#include <utility>

#include "charm/torch/back_end.h"
#include "charm/torch/device.h"
#include "charm/torch/host_copy.h"
#include "charm/torch/load_decoder.h"

namespace charm::torch {
namespace {

/// Enough rows for GEMMs near a large GPU's peak; for an 8B model in bfloat16 about 3 GiB of
/// workspace.
constexpr std::int64_t kBudgetTokens = 16384;

/// A decoder with its head on a device.
class DeviceRewardModel final : public engine::RewardModel {
 public:
  explicit DeviceRewardModel(LoadedDecoder loaded)
      : decoder_(std::move(loaded.decoder)), provenance_(std::move(loaded.provenance)) {}

  std::vector<float> score(const engine::PackedBatch& batch) override { return start(batch)(); }

  PendingScores start(const engine::PackedBatch& batch) override {
    return with_device_errors(kAdvice, [&]() -> PendingScores {
      const c10::InferenceMode guard;
      const HostCopy scores(decoder_.forward(decoder_.layout(batch, &prefix_)));
      return [this, scores, rows = batch.rows] { return finish(scores, rows); };
    });
  }

  int batches_in_flight() const override { return 2; }
  std::int64_t budget_tokens() const override { return kBudgetTokens; }
  const engine::DecoderConfig& config() const override { return decoder_.config(); }
  engine::Provenance provenance() const override { return provenance_; }

 private:
  static constexpr const char* kAdvice = "try a smaller --budget-tokens";

  std::vector<float> finish(const HostCopy& scores, const std::vector<std::size_t>& rows) const {
    const at::Tensor host = with_device_errors(kAdvice, [&] { return scores.wait(); });
    const float* data = host.const_data_ptr<float>();
    std::vector<float> result(data, data + host.numel());
    engine::check_finite_scores(result, rows, config());
    return result;
  }

  Decoder decoder_;
  std::vector<std::pair<std::string, std::string>> provenance_;
  PrefixCache prefix_;
};

}  // namespace

std::unique_ptr<engine::RewardModel> load_reward_model(const engine::ModelSource& source,
                                                       const engine::DecoderConfig& config,
                                                       const engine::RewardModelOptions& options) {
  return std::make_unique<DeviceRewardModel>(
      load_on_device(source, config, options, /*lm_head=*/false));
}

}  // namespace charm::torch
