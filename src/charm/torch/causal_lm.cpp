#include "charm/engine/causal_lm.h"

#include <c10/core/InferenceMode.h>

#include <utility>

#include "charm/torch/back_end.h"
#include "charm/torch/device.h"
#include "charm/torch/load_decoder.h"

namespace charm::torch {
namespace {

/// A decoder with its LM head and KV cache on a device.
class DeviceCausalLM final : public engine::CausalLM {
 public:
  DeviceCausalLM(LoadedDecoder loaded, std::int64_t num_blocks)
      : decoder_(std::move(loaded.decoder)),
        provenance_(std::move(loaded.provenance)),
        cache_(decoder_.config(), num_blocks,
               at::TensorOptions().dtype(decoder_.dtype()).device(decoder_.device())) {}

  std::span<const float> step(const engine::CachedBatch& batch) override {
    return with_device_errors("try a smaller --cache-memory", [&] { return next_logits(batch); });
  }

  void copy_block(std::int32_t from, std::int32_t to) override {
    const c10::InferenceMode guard;
    cache_.copy_block(from, to);
  }

  std::int64_t block_tokens() const override { return KvCache::kBlockTokens; }
  std::int64_t num_blocks() const override { return cache_.num_blocks(); }
  std::int64_t block_bytes() const override {
    return KvCache::block_bytes(config(), decoder_.dtype());
  }
  const engine::DecoderConfig& config() const override { return decoder_.config(); }
  engine::Provenance provenance() const override { return provenance_; }

 private:
  std::span<const float> next_logits(const engine::CachedBatch& batch) {
    const c10::InferenceMode guard;
    const Layout layout = decoder_.layout(batch, cache_);
    const at::Tensor hidden_SD = decoder_.hidden(layout);
    if (layout.num_responses == 0) return {};
    logits_SV_ = decoder_.logits(hidden_SD).to(at::kCPU).contiguous();
    const std::span<const float> logits(logits_SV_.const_data_ptr<float>(),
                                        static_cast<std::size_t>(logits_SV_.numel()));
    engine::check_logits(logits, config());
    return logits;
  }

  Decoder decoder_;
  std::vector<std::pair<std::string, std::string>> provenance_;
  KvCache cache_;
  at::Tensor logits_SV_;
};

}  // namespace

std::unique_ptr<engine::CausalLM> load_causal_lm(const engine::ModelSource& source,
                                                 const engine::DecoderConfig& config,
                                                 const engine::CausalLMOptions& options) {
  LoadedDecoder loaded =
      load_on_device(source, config,
                     {.dtype = options.dtype, .device = options.device, .threads = options.threads},
                     /*lm_head=*/true);
  const std::int64_t num_blocks = engine::num_cache_blocks(
      options, KvCache::block_bytes(config, loaded.decoder.dtype()), KvCache::kBlockTokens);
  const c10::InferenceMode guard;
  return with_device_errors("try a smaller --cache-memory", [&] {
    return std::make_unique<DeviceCausalLM>(std::move(loaded), num_blocks);
  });
}

}  // namespace charm::torch
