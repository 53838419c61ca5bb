#include <algorithm>

#include "charm/base/option_table.h"
#include "charm/base/strings.h"

namespace charm {
namespace {

/// Names of other tools (transformers' Trainer, TRL, OpenRLHF, vLLM, RewardBench) and habits.
struct Synonym {
  std::string_view name, option;
};
constexpr Synonym kSynonyms[] = {
    {"lr", "learning-rate"},
    {"batch-size", "pairs-per-step"},
    {"per-device-train-batch-size", "pairs-per-step"},
    {"train-batch-size", "pairs-per-step"},
    {"per-device-eval-batch-size", "budget-tokens"},
    {"micro-train-batch-size", "budget-tokens"},
    {"batch-size", "budget-tokens"},
    {"batch-size", "concurrency"},
    {"num-train-epochs", "epochs"},
    {"num-epochs", "epochs"},
    {"max-epochs", "epochs"},
    {"warmup-ratio", "warmup-fraction"},
    {"lr-warmup-ratio", "warmup-fraction"},
    {"max-grad-norm", "clip-norm"},
    {"max-norm", "clip-norm"},
    {"grad-clip", "clip-norm"},
    {"adam-epsilon", "adam-eps"},
    {"l2", "weight-decay"},
    {"center-rewards-coefficient", "centering"},
    {"save-steps", "checkpoint-every"},
    {"eval-steps", "eval-every"},
    {"gradient-checkpointing", "activation-gib"},
    {"max-length", "max-tokens"},
    {"max-len", "max-tokens"},
    {"max-seq-len", "max-tokens"},
    {"max-seq-length", "max-tokens"},
    {"max-model-len", "max-tokens"},
    {"max-tokens", "max-new-tokens"},
    {"model-name-or-path", "model"},
    {"model-path", "model"},
    {"pretrain", "model"},
    {"rm", "model"},
    {"reward-model", "model"},
    {"chat-template", "template"},
    {"dataset", "preferences"},
    {"dataset", "responses"},
    {"dataset", "input"},
    {"dataset", "data"},
    {"input", "responses"},
    {"input", "scores"},
    {"inputs", "responses"},
    {"inputs", "scores"},
    {"output-dir", "output"},
    {"save-path", "output"},
    {"out", "output"},
    {"o", "output"},
    {"elo", "ratings"},
    {"arena", "ratings"},
    {"ref", "reference"},
    {"baseline", "reference"},
    {"baseline", "against"},
    {"overwrite", "fresh"},
    {"force", "fresh"},
    {"num-workers", "threads"},
    {"num-threads", "threads"},
    {"workers", "threads"},
    {"jobs", "threads"},
    {"j", "threads"},
    {"bf16", "dtype"},
    {"fp16", "dtype"},
    {"torch-dtype", "dtype"},
    {"precision", "dtype"},
    {"gpu", "device"},
    {"cuda", "device"},
    {"num-samples", "n"},
    {"n-samples", "n"},
    {"num-bootstrap", "bootstrap"},
    {"max-samples", "limit"},
    {"num-prompts", "limit"},
    {"dry", "dry-run"},
    {"silent", "quiet"},
    {"debug", "verbose"},
    {"random-seed", "seed"},
};

}  // namespace

std::string meant_option(std::string_view name, std::span<const std::string> known) {
  const std::string spelled = lower_ascii(option_spelling(name));
  const auto is_known = [&](std::string_view one) {
    return std::any_of(known.begin(), known.end(),
                       [&](const std::string& other) { return option_spelling(other) == one; });
  };
  for (const Synonym& synonym : kSynonyms) {
    if (synonym.name == spelled && is_known(synonym.option)) return std::string(synonym.option);
  }
  if (spelled.size() == 1) {  // "-q": there are no short options
    const auto begins = std::find_if(known.begin(), known.end(), [&](const std::string& one) {
      return lower_ascii(one).starts_with(spelled);
    });
    if (begins != known.end()) return *begins;
  }
  const std::vector<std::string> nearest = nearest_names(spelled, known, 1);
  return nearest.empty() ? "" : nearest.front();
}

}  // namespace charm
