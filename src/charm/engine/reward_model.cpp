#include "charm/engine/reward_model.h"

#include <cmath>
#include <string>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/option_table.h"
#include "charm/engine/decoder.h"
#include "charm/engine/encoder.h"
#include "charm/engine/model_config.h"
#include "charm/engine/plugin.h"

namespace charm::engine {
namespace {

/// A decoder with its head on the CPU.
class CpuRewardModel final : public RewardModel {
 public:
  explicit CpuRewardModel(LoadedDecoder loaded)
      : decoder_(std::move(loaded.decoder)),
        session_(decoder_.config()),
        provenance_(std::move(loaded.provenance)) {}

  std::vector<float> score(const PackedBatch& batch) override {
    const Tensor scores_S = decoder_.forward(decoder_.layout(batch, session_), session_);
    const float* data = scores_S.data<float>();
    std::vector<float> scores(data, data + scores_S.numel());
    check_finite_scores(scores, batch.rows, config());
    return scores;
  }

  const DecoderConfig& config() const override { return decoder_.config(); }
  Provenance provenance() const override { return provenance_; }

 private:
  Decoder decoder_;
  DecoderSession session_;
  Provenance provenance_;
};

}  // namespace

void check_finite_scores(std::span<const float> scores, std::span<const std::size_t> rows,
                         const DecoderConfig& config) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isfinite(scores[i])) continue;
    throw Error(ErrorKind::kInput,
                "the model gave the score {} (row {} of this batch); expected a finite number{}",
                scores[i], rows[i],
                config.stored_dtype == "float16"
                    ? ": float16 weights may overflow, try --dtype float32"
                    : "");
  }
}

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
  if (options.device == DeviceChoice::kCuda)
    require_more_than_scores(config, "--device cuda", "use --device cpu");
  if (const DeviceBackend* gpu = gpu_backend(options.device)) {
    if (!scores_alone(config)) return gpu->load_reward_model(source, config, options);
    log::warning("{}: the GPU back end does not compute a {}; --device auto takes the CPU",
                 source.folder.string(), config.architecture);
  }
  if (config.encoder) return load_encoder(source, config, options);
  return std::make_unique<CpuRewardModel>(load_decoder(source, config, options, /*lm_head=*/false));
}

std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir,
                                               const RewardModelOptions& options) {
  return load_reward_model(resolve_model_source(model_dir, options.source), options);
}

void describe_device(OptionTable& table, DTypeChoice& dtype, DeviceChoice& device) {
  table
      .choice("dtype", dtype,
              {{"auto", DTypeChoice::kAuto},
               {"float32", DTypeChoice::kFloat32},
               {"bfloat16", DTypeChoice::kBFloat16}},
              "Element type of the computation; the head always runs in float32. auto takes "
              "bfloat16 where the machine has native bf16 (AVX512-BF16, AMX, CUDA) and float32 "
              "otherwise, where bfloat16 would be several times slower.")
      .choice("device", device,
              {{"auto", DeviceChoice::kAuto},
               {"cpu", DeviceChoice::kCpu},
               {"cuda", DeviceChoice::kCuda}},
              "Where the model runs. auto takes the GPU where one is present and the GPU back end, "
              "libcharm_torch.so, is installed.");
}

void describe_model(OptionTable& table, RewardModelOptions& options) {
  describe_device(table, options.dtype, options.device);
  describe_source(table, options.source);
}

}  // namespace charm::engine
