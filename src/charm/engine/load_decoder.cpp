#include "charm/engine/load_decoder.h"

#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/linear.h"
#include "charm/engine/lora.h"
#include "charm/engine/model_source.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {

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

Provenance model_provenance(const ModelSource& source, const DecoderConfig& config, bool bfloat16,
                            std::string_view device) {
  Provenance provenance = {{"architecture", config.architecture},
                           {"dtype", bfloat16 ? "bfloat16" : "float32"},
                           {"device", std::string(device)}};
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
  return provenance;
}

LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head) {
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(available_processors());
  kernels::set_num_threads(threads);
  const bool bfloat16 = computes_in_bfloat16(options.dtype, /*on_cuda=*/false);
  const DType dtype = bfloat16 ? DType::kBFloat16 : DType::kFloat32;
  Provenance provenance = model_provenance(source, config, bfloat16, "cpu");
  provenance.emplace_back("gemm_backend", "charm");
  provenance.emplace_back("instruction_set", kernels::instruction_set());
  log::debug("{}: {} on cpu, {} threads, kernels for {}", source.folder.string(), dtype_name(dtype),
             threads, kernels::instruction_set());
  DecoderWeights weights =
      load_weights(source, config, {.dtype = dtype, .as_stored = true, .lm_head = lm_head});
  return {Decoder(config, std::move(weights), dtype), std::move(provenance)};
}

}  // namespace charm::engine
