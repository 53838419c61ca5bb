#include "charm/engine/causal_lm.h"

#include <ATen/ops/isnan.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/device.h"
#include "charm/engine/kv_cache.h"
#include "charm/engine/load_decoder.h"

namespace charm::engine {
namespace {

/// A decoder with its LM head and KV cache, on one device.
class DecoderCausalLM final : public CausalLM {
 public:
  DecoderCausalLM(LoadedDecoder loaded, std::int64_t num_blocks)
      : decoder_(std::move(loaded.decoder)),
        provenance_(std::move(loaded.provenance)),
        cache_(decoder_.cache_shape(), num_blocks) {}

  std::span<const float> step(const CachedBatch& batch) override {
    return with_device_errors("try a smaller --cache-memory", [&] { return next_logits(batch); });
  }

  std::span<const float> next_logits(const CachedBatch& batch) {
    const c10::InferenceMode guard;
    const BatchLayout layout = decoder_.layout(batch, cache_);
    const at::Tensor hidden_SD = decoder_.hidden(layout);
    if (layout.num_responses == 0) return {};
    logits_SV_ =
        decoder_.logits(hidden_SD).narrow(0, 0, layout.num_responses).to(at::kCPU).contiguous();
    if (at::isnan(logits_SV_).any().item<bool>()) {
      throw Error(ErrorKind::kInput, "the model produced a NaN logit; expected finite logits{}",
                  config().stored_dtype == "float16"
                      ? ": float16 weights may overflow, try --dtype float32"
                      : "");
    }
    return {logits_SV_.const_data_ptr<float>(), static_cast<std::size_t>(logits_SV_.numel())};
  }

  void copy_block(std::int32_t from, std::int32_t to) override {
    const c10::InferenceMode guard;
    cache_.copy_block(from, to);
  }

  std::int64_t block_tokens() const override { return KvCache::kBlockTokens; }
  std::int64_t num_blocks() const override { return cache_.num_blocks(); }
  std::int64_t block_bytes() const override { return KvCache::block_bytes(decoder_.cache_shape()); }
  std::int64_t vocab_size() const override { return config().vocab_size; }
  std::int64_t max_positions() const override { return config().max_positions; }
  std::vector<std::int32_t> eos_token_ids() const override { return config().eos_token_ids; }
  std::vector<std::pair<std::string, std::string>> provenance() const override {
    return provenance_;
  }

 private:
  const DecoderConfig& config() const { return decoder_.config(); }

  Decoder decoder_;
  std::vector<std::pair<std::string, std::string>> provenance_;
  KvCache cache_;
  at::Tensor logits_SV_;
};

}  // namespace

std::unique_ptr<CausalLM> load_causal_lm(const std::filesystem::path& model_dir,
                                         const CausalLMOptions& options) {
  const ModelSource source = resolve_model_source(model_dir, options.source);
  DecoderConfig config = load_model_config(source);
  if (config.head == HeadKind::kLmLogit) config.head = HeadKind::kNone;  // no tensor of its own
  if (config.head != HeadKind::kNone) {
    throw Error(ErrorKind::kInput,
                "{}: {} is a reward model and cannot generate; expected the folder of a causal LM "
                "(...ForCausalLM)",
                model_dir.string(), config.architecture);
  }
  LoadedDecoder loaded =
      load_decoder(source, config,
                   {.dtype = options.dtype, .device = options.device, .threads = options.threads},
                   /*lm_head=*/true);
  const std::int64_t block_bytes = KvCache::block_bytes(loaded.decoder.cache_shape());
  const std::int64_t num_blocks = std::min(options.cache_bytes / block_bytes, options.max_blocks);
  if (num_blocks < 1) {
    throw Error(ErrorKind::kResource,
                "--cache-memory {} bytes: one block of {} tokens takes {} bytes; give more",
                options.cache_bytes, KvCache::kBlockTokens, block_bytes);
  }
  const c10::InferenceMode guard;
  return with_device_errors("try a smaller --cache-memory", [&] {
    return std::make_unique<DecoderCausalLM>(std::move(loaded), num_blocks);
  });
}

}  // namespace charm::engine
