#include "charm/generate/embedded_generator.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/version.h"
#include "charm/engine/model_config.h"
#include "charm/generate/continuous_batch.h"
#include "charm/generate/sampler.h"
#include "charm/generate/stop_criteria.h"
#include "charm/storage/manifest.h"

namespace charm::generate {
namespace {

/// Decoding state of a response.
struct DecodingState {
  std::vector<std::int32_t> ids;  ///< prompt tokens, then output tokens
  std::size_t prompt_length = 0;
  StopStringCriteria stop_strings;
  std::string finish_reason;

  std::span<const std::int32_t> output_ids() const { return std::span(ids).subspan(prompt_length); }
};

bool is_blank(const Conversation& prompt) {
  return std::all_of(prompt.begin(), prompt.end(), [](const Message& message) {
    return message.content.find_first_not_of(" \t\r\n") == std::string::npos;
  });
}

/// One call of `generate`.
class Generation {
 public:
  Generation(engine::CausalLM& model, const text::ConversationEncoder& encoder,
             std::set<std::int32_t> stop_tokens, std::span<const GenerationRequest> requests,
             const SamplingOptions& sampling, const GeneratedFn& on_generated)
      : model_(model),
        encoder_(encoder),
        stop_tokens_(std::move(stop_tokens)),
        requests_(requests),
        sampling_(sampling),
        sampler_(sampling),
        on_generated_(on_generated),
        states_(requests.size()) {
    for (const std::int64_t id : sampling.stop_token_ids)
      stop_tokens_.insert(static_cast<std::int32_t>(id));
    std::unordered_map<std::string, std::size_t> group_of_prompt;
    for (std::size_t r = 0; r < requests.size(); ++r) {
      const auto [entry, is_new] =
          group_of_prompt.try_emplace(conversation_json(requests[r].prompt), groups_.size());
      if (is_new) groups_.emplace_back();
      groups_[entry->second].push_back(r);
    }
  }

  void run(const BatchOptions& options) {
    run_continuous_batch(
        model_, options,
        {.next_prompt = [&] { return next_prompt(); },
         .next_token = [&](std::size_t r,
                           std::span<const float> logits_V) { return next_token(r, logits_V); },
         .on_finished = [&](std::size_t r,
                            const std::optional<std::string>& error) { finish(r, error); }});
    if (num_with_unknown_ == 0) return;
    log::warning(
        "{} of {} responses have tokens that the tokenizer does not have (the model's vocabulary "
        "has {}); they have no text, as in transformers",
        num_with_unknown_, requests_.size(), model_.config().vocab_size);
  }

 private:
  std::optional<TokenPrompt> next_prompt() {
    while (next_group_ < groups_.size()) {
      const std::vector<std::size_t>& group = groups_[next_group_++];
      try {
        TokenPrompt prompt{.ids = prompt_ids(requests_[group.front()].prompt), .sequences = group};
        for (const std::size_t r : group) {
          states_[r].emplace(DecodingState{
              .ids = prompt.ids,
              .prompt_length = prompt.ids.size(),
              .stop_strings = StopStringCriteria(encoder_.tokenizer(), sampling_.stop),
              .finish_reason = {}});
        }
        return prompt;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kInput) throw;
        for (const std::size_t r : group) finish(r, error.message());
      }
    }
    return std::nullopt;
  }

  /// Throws kInput for an invalid prompt.
  std::vector<std::int32_t> prompt_ids(const Conversation& prompt) const {
    if (is_blank(prompt)) throw Error(ErrorKind::kInput, "the prompt is empty");
    std::vector<std::int32_t> ids = encoder_.encode_prompt(prompt);
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= model_.config().vocab_size) {
        throw Error(ErrorKind::kInput,
                    "token id {} is out of range for the model's vocabulary of {}", id,
                    model_.config().vocab_size);
      }
    }
    const auto length = static_cast<std::int64_t>(ids.size());
    if (length >= model_.config().max_positions) {
      throw Error(ErrorKind::kInput,
                  "the prompt has {} tokens, which leaves no room for a response in the model's "
                  "context of {}",
                  length, model_.config().max_positions);
    }
    return ids;
  }

  std::optional<std::int32_t> next_token(std::size_t r, std::span<const float> logits_V) {
    DecodingState& state = *states_[r];
    if (!state.finish_reason.empty()) return std::nullopt;
    const auto position = static_cast<std::int64_t>(state.output_ids().size());
    const std::int32_t id = sampler_.next(
        logits_V, state.ids,
        {.prompt_id = requests_[r].prompt_id, .sample = requests_[r].sample, .position = position});
    state.ids.push_back(id);
    if (stop_tokens_.contains(id) || state.stop_strings.is_met(state.output_ids())) {
      state.finish_reason = "stop";
    } else if (position + 1 >= sampling_.max_new_tokens ||
               std::ssize(state.ids) >= model_.config().max_positions) {
      state.finish_reason = "length";
    }
    return state.finish_reason.empty() ? std::optional(id) : std::nullopt;
  }

  void finish(std::size_t r, const std::optional<std::string>& error) {
    GenerationResult result;
    result.index = requests_[r].index;
    result.error = error;
    if (states_[r]) {
      const DecodingState& state = *states_[r];
      result.num_prompt_tokens = static_cast<std::int32_t>(state.prompt_length);
      if (!error) {
        std::span<const std::int32_t> output_ids = state.output_ids();
        result.num_tokens = static_cast<std::int32_t>(output_ids.size());
        result.finish_reason = state.finish_reason;
        if (!output_ids.empty() && stop_tokens_.contains(output_ids.back()))
          output_ids = output_ids.first(output_ids.size() - 1);
        if (tokens_with_text(encoder_.tokenizer(), output_ids).size() < output_ids.size())
          ++num_with_unknown_;
        result.response = response_text(encoder_.tokenizer(), output_ids, sampling_.stop,
                                        /*is_truncated=*/state.finish_reason == "length");
      }
      states_[r].reset();
    }
    on_generated_(std::move(result));
  }

  engine::CausalLM& model_;
  const text::ConversationEncoder& encoder_;
  std::set<std::int32_t> stop_tokens_;
  std::span<const GenerationRequest> requests_;
  const SamplingOptions& sampling_;
  Sampler sampler_;
  const GeneratedFn& on_generated_;
  std::vector<std::vector<std::size_t>> groups_;  ///< requests with the same prompt
  std::size_t next_group_ = 0;
  std::int64_t num_with_unknown_ = 0;  ///< responses with tokens that the tokenizer does not have
  std::vector<std::optional<DecodingState>> states_;  ///< [request]
};

}  // namespace

EmbeddedGenerator::EmbeddedGenerator(std::unique_ptr<engine::CausalLM> model,
                                     std::unique_ptr<text::ConversationEncoder> encoder,
                                     std::set<std::int32_t> stop_tokens,
                                     const EmbeddedOptions& options, storage::Provenance provenance)
    : model_(std::move(model)),
      encoder_(std::move(encoder)),
      stop_tokens_(std::move(stop_tokens)),
      options_(options),
      provenance_(std::move(provenance)) {}

void EmbeddedGenerator::generate(std::span<const GenerationRequest> requests,
                                 const SamplingOptions& sampling, const GeneratedFn& on_generated) {
  Generation(*model_, *encoder_, stop_tokens_, requests, sampling, on_generated)
      .run({.max_sequences = options_.max_batch,
            .chunk_tokens = options_.chunk_tokens,
            .num_threads = static_cast<std::size_t>(std::max(0, options_.threads))});
}

std::unique_ptr<EmbeddedGenerator> make_embedded_generator(const EmbeddedOptions& options) {
  std::unique_ptr<engine::CausalLM> model =
      engine::load_causal_lm(options.model_dir, {.dtype = options.dtype,
                                                 .device = options.device,
                                                 .threads = options.threads,
                                                 .cache_bytes = options.cache_bytes,
                                                 .source = options.source});
  text::EncoderOptions encoding;
  encoding.bos = options.bos;
  encoding.template_file = options.template_file;
  encoding.template_date = options.template_date;
  encoding.template_kwargs = options.template_kwargs;
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.source);
  encoding.template_folder = source.template_folder;
  auto encoder = std::make_unique<text::ConversationEncoder>(source.tokenizer_folder, encoding);
  std::set<std::int32_t> stop_tokens = find_stop_tokens(
      source.folder, model->config().eos_token_ids, encoder->tokenizer(), encoder->chat_template());

  const storage::ModelHashes hashes = storage::hash_model(source.folders());
  storage::Provenance provenance = {{"program", "charm"},
                                    {"version", kVersion},
                                    {"model_sha256", hashes.model},
                                    {"tokenizer_sha256", hashes.tokenizer},
                                    {"template_sha256", encoder->chat_template().sha256()}};
  for (auto& fact : model->provenance()) provenance.push_back(std::move(fact));
  provenance.emplace_back("bos", options.bos == text::BosPolicy::kOnce ? "once" : "as-template");
  provenance.emplace_back("template-date", options.template_date);
  if (!options.template_kwargs.empty())
    provenance.emplace_back("chat-template-kwargs", options.template_kwargs);
  return std::make_unique<EmbeddedGenerator>(
      std::move(model), std::move(encoder), std::move(stop_tokens), options, std::move(provenance));
}

}  // namespace charm::generate
