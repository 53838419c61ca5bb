#include "charm/generate/generate_stage.h"
#include "charm/pipeline/stage_options.h"
#include "charm/prepare/prepare.h"
#include "charm/score/score_stage.h"

namespace charm::pipeline {
namespace {

void describe_device(OptionTable& table, model::DTypeChoice& dtype, model::DeviceChoice& device) {
  using model::DeviceChoice;
  using model::DTypeChoice;
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
              "Where the model runs. auto takes the GPU when the program was built for it and one "
              "is present.");
}

void describe_bos(OptionTable& table, text::BosPolicy& bos) {
  using text::BosPolicy;
  table.choice("bos", bos, {{"once", BosPolicy::kOnce}, {"as-template", BosPolicy::kAsTemplate}},
               "Beginning-of-sequence token (BOS): once writes exactly one; as-template lets chat "
               "template and tokenizer each add one, which reproduces tools that write it twice.");
}

}  // namespace

void describe_reading(OptionTable& table, storage::ReadOptions& options) {
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated per file; each is reported and dropped, one more is an "
               "error. Raise it for raw data with a few broken lines.")
      .at_least(0)
      .text("split", options.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; required if there "
            "are several.");
}

void describe_adapter(OptionTable& table, model::AdapterChoice& adapter) {
  table.choice("adapter", adapter, {{"none", model::AdapterChoice::kNone}},
               "none uses the weights without the PEFT adapter in the model's folder. Without this "
               "option such a folder is an error: adapters cannot be applied yet, and scores with "
               "and without one differ.");
}

void describe_model(OptionTable& table, model::RewardModelOptions& options) {
  describe_device(table, options.dtype, options.device);
  describe_adapter(table, options.adapter);
}

void describe_encoder(OptionTable& table, text::EncoderOptions& options) {
  using text::Truncation;
  table
      .integer("max-tokens", options.max_tokens, "N",
               "Maximum conversation length in tokens; longer ones are truncated (--truncation). "
               "Use the value of the reward model's training.")
      .choice(
          "truncation", options.truncation,
          {{"left", Truncation::kLeft},
           {"right", Truncation::kRight},
           {"error", Truncation::kError}},
          "Truncation side of long conversations: left keeps the last tokens, as most reward model "
          "trainers do; right keeps the first; error gives the row an error instead of a score.")
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; for models without one.")
      .text("template-date", options.template_date, "YYYY-MM-DD",
            "Current date in chat templates; fixed so that scores are reproducible.");
  describe_bos(table, options.bos);
}

void describe_scorer(OptionTable& table, score::ScorerOptions& options) {
  using score::Pooling;
  table
      .choice("pooling", options.pooling, {{"auto", Pooling::kAuto}, {"last", Pooling::kLast}},
              "Pooled token, whose hidden state gives the score: auto is the right-most token that "
              "is not config.pad_token_id, as in transformers; last is always the last token.")
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens per batch. More is faster up to the limits of cache and memory; on a CPU "
               "scores do not depend on it. 0: 4096 on a CPU, 16384 on a GPU.")
      .at_least(0);
}

void describe_prepare(OptionTable& table, prepare::PrepareOptions& options) {
  table
      .integer("limit", options.limit, "N",
               "Maximum number of prompts: the first ones, or with --seed a random sample.")
      .integer("seed", options.seed, "S",
               "With --limit, sample the prompts at random with this seed.")
      .flag("dedupe", options.dedupe,
            "Drop exact duplicates; without it they get the ids ID-2, ID-3, ...")
      .number(
          "near-duplicates", options.near_duplicates, "X",
          "Also drop near-duplicates of earlier prompts: minimum Jaccard similarity of 5-character "
          "n-grams, 0 to 1, ignoring case and punctuation. 0.8 finds copies with a word changed.")
      .integer("min-chars", options.min_chars, "N",
               "Drop prompts of fewer characters (all turns except the system's).")
      .integer("max-chars", options.max_chars, "N", "Drop prompts of more characters.")
      .paths("exclude", options.exclude, "FILE",
             "Benchmarks (any data sets with prompts) whose prompts are excluded from the output "
             "(decontamination). Excluded prompts are listed in <output>.excluded.jsonl.")
      .number("exclude-overlap", options.exclude_overlap, "X",
              "With --exclude, minimum share of common 8-word n-grams, of the prompt's or of the "
              "benchmark prompt's, at which a prompt is excluded.")
      .choice("turns", options.turns,
              {{"auto", storage::PromptTurns::kFirstOfPairs},
               {"first", storage::PromptTurns::kFirst},
               {"all", storage::PromptTurns::kAll}},
              "Turns that form the prompt. auto: of preference pairs without a prompt column the "
              "first user turn, of conversations everything before the final answer.");
  describe_reading(table, options.read);
}

void describe_generate(OptionTable& table, generate::GenerateStageOptions& options) {
  using generate::Endpoint;
  generate::ServerOptions& server = options.server;
  generate::SamplingOptions& sampling = options.sampling;
  table
      .path("model", options.model_dir, "DIR",
            "Hugging Face folder of the policy, a causal language model; or use --server.")
      .texts("server", server.urls, "URL",
             "Inference servers with an OpenAI-compatible API that all serve the same model: "
             "http://HOST:PORT, with or without /v1. A failing server gets no requests until it "
             "responds again.")
      .text("server-model", server.model, "NAME",
            "With --server, the model's name on the servers (vLLM: --served-model-name, or the "
            "model path).")
      .texts("accept-model", server.accepted_models, "NAME",
             "Further model names accepted in server responses; a response of any other model is "
             "an error.")
      .choice("endpoint", server.endpoint,
              {{"chat", Endpoint::kChat}, {"completions", Endpoint::kCompletions}},
              "chat: the server applies the chat template; completions: charm applies it "
              "(--tokenizer or --template).")
      .text("api-key-env", server.api_key_env, "VARIABLE",
            "Environment variable with the API key, the only source of keys.")
      .integer("n", options.num_samples, "N",
               "Responses per prompt, numbered in the column sample. 16 is usual for best-of-n.")
      .number("temperature", sampling.temperature, "X", "Sampling temperature; 0: greedy decoding.")
      .number("top-p", sampling.top_p, "X",
              "Nucleus sampling: sample from the smallest set of most likely tokens whose "
              "probability reaches this; 1: off.")
      .integer("top-k", options.top_k, "N",
               "Sample from this many of the most likely tokens; 0: off. If not given, servers use "
               "their own default.")
      .number("min-p", options.min_p, "X",
              "Minimum probability of a sampled token relative to the most likely one. If not "
              "given, servers use their own default.")
      .number("repetition-penalty", options.repetition_penalty, "X",
              "Above 1, tokens already seen become less likely. If not given, servers use their "
              "own default.")
      .integer("max-new-tokens", sampling.max_new_tokens, "N",
               "Maximum response length in tokens; longer ones are truncated and marked "
               "finish_reason = length.")
      .texts("stop", sampling.stop, "TEXT", "Stop sequences; they are not part of the response.");
  Option stop_ids{.name = "stop-token-id", .form = Option::Form::kList, .value_name = "ID"};
  stop_ids.help = "Stop token ids, in addition to the model's own.";
  stop_ids.assign = [&sampling](const std::vector<std::string>& values) {
    sampling.stop_token_ids.clear();
    for (const std::string& value : values) sampling.stop_token_ids.push_back(parse_integer(value));
  };
  table.add(std::move(stop_ids))
      .integer("seed", sampling.seed, "S",
               "Each response is sampled with a random stream derived from (seed, prompt_id, "
               "sample); servers get a seed derived from these.")
      .text("system", options.system, "TEXT",
            "System message for prompts without one. The output keeps the prompt without it, so "
            "that policies can still be joined on the prompt.")
      .number("cache-memory", options.cache_gib, "GIB",
              "With --model, memory of the KV cache. More allows more sequences to be decoded "
              "concurrently.")
      .integer("batch", options.embedded.max_batch, "N",
               "With --model, maximum batch size: sequences decoded concurrently. More increase "
               "throughput and need more KV cache. Responses do not depend on it.")
      .integer("chunk-tokens", options.embedded.chunk_tokens, "N",
               "With --model, tokens per forward pass: long prompts are prefilled in chunks of "
               "this size, batched with decoding.")
      .integer(
          "concurrency", server.concurrency, "N",
          "Requests in flight per server. vLLM saturates at about 64; hosted APIs allow fewer.")
      .number(
          "timeout", server.timeout_s, "S",
          "Timeout of a request in seconds, including the server's queue and the longest response.")
      .integer("retries", server.retries, "N",
               "Retries of a failed request, with exponential back-off and jitter; then its row "
               "carries the error.")
      .number("wait", server.wait_s, "S",
              "Seconds to wait at the start for servers that are still loading their model.")
      .number("patience", server.patience_s, "S",
              "Seconds without any reachable server after which the command fails; run it again to "
              "resume.")
      .path("tokenizer", server.tokenizer_dir, "DIR",
            "With --endpoint completions, folder with the chat template and special tokens to use.")
      .path("template", server.template_file, "FILE",
            "Chat template (Jinja) instead of the folder's own; with --model and with --endpoint "
            "completions.")
      .text("template-date", server.template_date, "YYYY-MM-DD", "Current date in chat templates.")
      .text("extra-body", server.extra_body, "JSON",
            "JSON members added to every request, such as '{\"chat_template_kwargs\": "
            "{\"enable_thinking\": false}}'.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable prompts, and failed responses, tolerated; beyond that the command fails "
               "without output.")
      .at_least(0)
      .text("split", options.read.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; required if there "
            "are several.");
  describe_device(table, options.embedded.dtype, options.embedded.device);
  describe_adapter(table, options.embedded.adapter);
  describe_bos(table, options.embedded.bos);
}

void describe_score(OptionTable& table, score::ScoreStageOptions& options) {
  describe_model(table, options.model);
  describe_encoder(table, options.encoder);
  describe_scorer(table, options.scorer);
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows, and rows without a score, tolerated before the command fails.")
      .at_least(0);
}

}  // namespace charm::pipeline
