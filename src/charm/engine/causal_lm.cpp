#include "charm/engine/causal_lm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/decoder.h"
#include "charm/engine/model_config.h"
#include "charm/engine/plugin.h"

namespace charm::engine {
namespace {

/// A decoder with its LM head and KV cache on the CPU.
class CpuCausalLM final : public CausalLM {
 public:
  CpuCausalLM(LoadedDecoder loaded, std::int64_t num_blocks)
      : decoder_(std::move(loaded.decoder)),
        session_(decoder_.config()),
        provenance_(std::move(loaded.provenance)),
        cache_(decoder_.cache_shape(), num_blocks) {}

  std::span<const float> step(const CachedBatch& batch) override {
    const BatchLayout layout = decoder_.layout(batch, cache_, session_);
    const Tensor hidden_SD = decoder_.hidden(layout, session_);
    if (layout.last_S.empty()) return {};
    logits_SV_ = decoder_.logits(hidden_SD);
    const std::span<const float> logits(logits_SV_.data<float>(),
                                        static_cast<std::size_t>(logits_SV_.numel()));
    check_logits(logits, config());
    return logits;
  }

  void copy_block(std::int32_t from, std::int32_t to) override { cache_.copy_block(from, to); }

  std::int64_t block_tokens() const override { return KvCache::kBlockTokens; }
  std::int64_t num_blocks() const override { return cache_.num_blocks(); }
  std::int64_t block_bytes() const override { return KvCache::block_bytes(decoder_.cache_shape()); }
  const DecoderConfig& config() const override { return decoder_.config(); }
  Provenance provenance() const override { return provenance_; }

 private:
  Decoder decoder_;
  DecoderSession session_;
  Provenance provenance_;
  KvCache cache_;
  Tensor logits_SV_;
};

}  // namespace

void require_generation(const DecoderConfig& config) {
  require_more_than_scores(config, "generation",
                           "run the model in a server (vLLM, SGLang) and give --server URL, or "
                           "give responses as a file");
}

void check_logits(std::span<const float> logits, const DecoderConfig& config) {
  if (std::ranges::none_of(logits, [](float logit) { return std::isnan(logit); })) return;
  throw Error(ErrorKind::kInput, "the model produced a NaN logit; expected finite logits{}",
              config.stored_dtype == "float16"
                  ? ": float16 weights may overflow, try --dtype float32"
                  : "");
}

std::int64_t recompute_length(const DecoderConfig& config) {
  return config.rope.recomputes_cache ? config.rope.original_max_position_embeddings + 1
                                      : std::numeric_limits<std::int64_t>::max();
}

std::int64_t num_cache_blocks(const CausalLMOptions& options, std::int64_t block_bytes,
                              std::int64_t block_tokens) {
  const std::int64_t num_blocks = std::min(options.cache_bytes / block_bytes, options.max_blocks);
  if (num_blocks < 1) {
    throw Error(ErrorKind::kResource,
                "--cache-memory {} bytes: one block of {} tokens takes {} bytes; give more",
                options.cache_bytes, block_tokens, block_bytes);
  }
  return num_blocks;
}

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
  require_generation(config);
  if (const DeviceBackend* gpu = gpu_backend(options.device))
    return gpu->load_causal_lm(source, config, options);
  LoadedDecoder loaded =
      load_decoder(source, config,
                   {.dtype = options.dtype, .device = options.device, .threads = options.threads},
                   /*lm_head=*/true);
  const std::int64_t num_blocks = num_cache_blocks(
      options, KvCache::block_bytes(loaded.decoder.cache_shape()), KvCache::kBlockTokens);
  return std::make_unique<CpuCausalLM>(std::move(loaded), num_blocks);
}

}  // namespace charm::engine
