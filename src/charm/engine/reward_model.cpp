#include "charm/engine/reward_model.h"

#include <c10/core/InferenceMode.h>

#include <cmath>
#include <string>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/device.h"
#include "charm/engine/host_copy.h"
#include "charm/engine/load_decoder.h"

namespace charm::engine {
namespace {

/// Enough rows for GEMMs near a large GPU's peak; for an 8B model in bfloat16 about 3 GiB of
/// workspace.
constexpr std::int64_t kGpuBudgetTokens = 16384;

template <typename Work>
auto with_errors(const Work& work) {
  return with_device_errors("try a smaller --budget-tokens", work);
}

/// A decoder with its head, on one device.
class DecoderRewardModel final : public RewardModel {
 public:
  DecoderRewardModel(Decoder decoder, std::vector<std::pair<std::string, std::string>> provenance)
      : decoder_(std::move(decoder)), provenance_(std::move(provenance)) {}

  std::vector<float> score(const PackedBatch& batch) override { return start(batch)(); }

  PendingScores start(const PackedBatch& batch) override {
    return with_errors([&]() -> PendingScores {
      const c10::InferenceMode guard;
      const HostCopy scores(decoder_.forward(decoder_.layout(batch)));
      return [this, scores, rows = batch.rows] { return finish(scores, rows); };
    });
  }

  int batches_in_flight() const override { return decoder_.is_on_gpu() ? 2 : 1; }
  std::int64_t budget_tokens() const override {
    return decoder_.is_on_gpu() ? kGpuBudgetTokens : RewardModel::budget_tokens();
  }
  std::int64_t vocab_size() const override { return config().vocab_size; }
  std::int64_t max_positions() const override { return config().max_positions; }
  std::int32_t pad_token_id() const override { return config().pad_token_id; }
  std::vector<std::int32_t> gate_tokens() const override { return config().gate_tokens; }
  std::vector<std::pair<std::string, std::string>> provenance() const override {
    return provenance_;
  }

 private:
  const DecoderConfig& config() const { return decoder_.config(); }

  std::vector<float> finish(const HostCopy& scores, const std::vector<std::size_t>& rows) const {
    const at::Tensor host = with_errors([&] { return scores.wait(); });
    const float* data = host.const_data_ptr<float>();
    std::vector<float> result(data, data + host.numel());
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!std::isfinite(result[i])) {
        throw Error(
            ErrorKind::kInput,
            "the model gave the score {} (row {} of this batch); expected a finite number{}",
            result[i], rows[i],
            config().stored_dtype == "float16"
                ? ": float16 weights may overflow, try --dtype float32"
                : "");
      }
    }
    return result;
  }

  Decoder decoder_;
  std::vector<std::pair<std::string, std::string>> provenance_;
};

}  // namespace

void throw_no_reward_head(const ModelSource& source, const DecoderConfig& config) {
  throw Error(ErrorKind::kInput,
              "{}: {} is a causal language model, and no reward head was found in its weights, in "
              "value_head.safetensors or .bin beside them, or in an adapter: give the adapter that "
              "it was trained as (--adapter DIR), or --head lm-logit:ID if the score is a logit of "
              "the language model; charm train --new-head makes a reward model of it from a random "
              "head",
              source.adapter ? source.adapter->string() : source.folder.string(),
              config.architecture);
}

std::unique_ptr<RewardModel> load_reward_model(const ModelSource& source,
                                               const RewardModelOptions& options) {
  const DecoderConfig config = load_model_config(source);
  if (config.head == HeadKind::kNone) throw_no_reward_head(source, config);
  LoadedDecoder loaded = load_decoder(source, config, options, /*lm_head=*/false);
  return std::make_unique<DecoderRewardModel>(std::move(loaded.decoder),
                                              std::move(loaded.provenance));
}

std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir,
                                               const RewardModelOptions& options) {
  return load_reward_model(resolve_model_source(model_dir, options.source), options);
}

}  // namespace charm::engine
