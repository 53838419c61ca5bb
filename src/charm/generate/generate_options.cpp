#include "charm/base/option_table.h"
#include "charm/engine/reward_model.h"
#include "charm/generate/generate_stage.h"
#include "charm/text/conversation_encoder.h"

namespace charm::generate {

void describe_settings(OptionTable& table, GenerateStageOptions& options) {
  ServerOptions& server = options.server;
  SamplingOptions& sampling = options.sampling;
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
      .at_least(1)
      .number("temperature", sampling.temperature, "X", "Sampling temperature; 0: greedy decoding.")
      .at_least(0)
      .number("top-p", sampling.top_p, "X",
              "Nucleus sampling: sample from the smallest set of most likely tokens whose "
              "probability reaches this; 1: off.")
      .range({.lowest = 0.0, .highest = 1.0, .above_lowest = true})
      .integer("top-k", options.top_k, "N",
               "Sample from this many of the most likely tokens; 0: off. If not given, servers use "
               "their own default, and with --model generation_config.json tells.")
      .at_least(0)
      .number("min-p", options.min_p, "X",
              "Minimum probability of a sampled token relative to the most likely one. If not "
              "given, servers use their own default, and with --model generation_config.json "
              "tells.")
      .within(0, 1)
      .number("repetition-penalty", options.repetition_penalty, "X",
              "Above 1, tokens already seen become less likely; 1: off. If not given, servers use "
              "their own default, and with --model generation_config.json tells.")
      .above(0)
      .integer("max-new-tokens", sampling.max_new_tokens, "N",
               "Maximum response length in tokens; longer ones are truncated and marked "
               "finish_reason = length.")
      .at_least(1)
      .texts("stop", sampling.stop, "TEXT", "Stop sequences; they are not part of the response.");
  Option stop_ids{.name = "stop-token-id", .form = Option::Form::kList, .value_name = "ID"};
  stop_ids.help = "Stop token ids, in addition to the model's own.";
  stop_ids.value = [&sampling] {
    return OptionValue(
        std::vector<std::int64_t>(sampling.stop_token_ids.begin(), sampling.stop_token_ids.end()));
  };
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
      .above(0)
      .integer("batch", options.embedded.max_batch, "N",
               "With --model, maximum batch size: sequences decoded concurrently. More increase "
               "throughput and need more KV cache. Responses do not depend on it.")
      .at_least(1)
      .integer("chunk-tokens", options.embedded.chunk_tokens, "N",
               "With --model, tokens per forward pass: long prompts are prefilled in chunks of "
               "this size, batched with decoding.")
      .at_least(1)
      .integer(
          "concurrency", server.concurrency, "N",
          "Requests in flight per server. vLLM saturates at about 64; hosted APIs allow fewer.")
      .at_least(1)
      .number(
          "timeout", server.timeout_s, "S",
          "Timeout of a request in seconds, including the server's queue and the longest response.")
      .above(0)
      .integer("retries", server.retries, "N",
               "Retries of a failed request, with exponential back-off and jitter; then its row "
               "carries the error.")
      .at_least(0)
      .number("wait", server.wait_s, "S",
              "Seconds to wait at the start for servers that are still loading their model.")
      .at_least(0)
      .number("patience", server.patience_s, "S",
              "Seconds without any reachable server after which the command fails; run it again to "
              "resume.")
      .at_least(0)
      .path("tokenizer", server.tokenizer_dir, "DIR",
            "With --endpoint completions, folder with the chat template and special tokens to use.")
      .path("template", server.template_file, "FILE",
            "Chat template (Jinja) instead of the folder's own; with --model and with --endpoint "
            "completions.")
      .text("template-date", server.template_date, "YYYY-MM-DD", "Current date in chat templates.");
  text::describe_template_kwargs(table, server.template_kwargs);
  table
      .text("extra-body", server.extra_body, "JSON",
            "JSON members added to every request, such as '{\"cache_prompt\": false}'.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable prompts, and failed responses, tolerated; beyond that the command fails "
               "without output.")
      .at_least(0)
      .text("split", options.read.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; required if there "
            "are several.");
  engine::describe_device(table, options.embedded.dtype, options.embedded.device);
  engine::describe_adapter(table, options.embedded.source);
  text::describe_bos(table, options.embedded.bos);
  table
      .recorded_elsewhere({"server", "server-model", "endpoint", "extra-body", "dtype", "device",
                           "bos"})  // facts about the generator
      .without_effect({"accept-model", "api-key-env", "cache-memory", "batch", "chunk-tokens",
                       "concurrency", "timeout", "retries", "wait", "patience", "max-bad-rows"});
}

void describe_command(OptionTable& table, GenerateStageOptions& options) {
  table.path("prompts", options.prompts, "FILE", "Data set with prompts, as for charm prepare.")
      .required();
  storage::describe_prompt_column(table, options.read.columns);
  table
      .text("policy", options.policy, "NAME",
            "Name of the policy in the output; use its name in the ratings.")
      .required()
      .path("output", options.output, "FILE", "Responses: .parquet, .jsonl or .jsonl.gz.")
      .required();
  describe_settings(table, options);
}

}  // namespace charm::generate
