#include "charm/pipeline/stage_options.h"

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
               "Beginning-of-sequence token: once writes exactly one; as-template lets template "
               "and tokenizer each add theirs, which reproduces tools that double it.");
}

}  // namespace

void describe_reading(OptionTable& table, storage::ReadOptions& options) {
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows of a file that may be unusable; each is named and left out, one more ends the "
               "command. 0 accepts none; raise it for raw collections with a few broken lines.")
      .at_least(0)
      .text("split", options.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; needed where there "
            "are several.");
}

void describe_model(OptionTable& table, model::RewardModelOptions& options) {
  describe_device(table, options.dtype, options.device);
}

void describe_encoder(OptionTable& table, text::EncoderOptions& options) {
  using text::Truncation;
  table
      .integer("max-tokens", options.max_tokens, "N",
               "Longest conversation in tokens. Longer ones are cut as --truncation says; take "
               "what the reward model was trained with.")
      .choice("truncation", options.truncation,
              {{"left", Truncation::kLeft},
               {"right", Truncation::kRight},
               {"error", Truncation::kError}},
              "Which end of a too long conversation is cut: left keeps the last tokens, as most RM "
              "trainers do; right keeps the first; error leaves the row without a score.")
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; for models that come without one.")
      .text("template-date", options.template_date, "YYYY-MM-DD",
            "Date of the clock a template sees, so that scores do not change from day to day.");
  describe_bos(table, options.bos);
}

void describe_scorer(OptionTable& table, score::ScorerOptions& options) {
  using score::Pooling;
  table
      .choice(
          "pooling", options.pooling, {{"auto", Pooling::kAuto}, {"last", Pooling::kLast}},
          "Token whose hidden state gives the score: auto takes the right-most token that is not "
          "config.pad_token_id, as transformers does; last takes the last token whatever it is.")
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens computed together. More is faster up to the limits of cache and memory; on "
               "a CPU scores do not depend on it. 0: 4096 on a CPU, 16384 on a GPU.")
      .at_least(0);
}

void describe_prepare(OptionTable& table, prepare::PrepareOptions& options) {
  table
      .integer("limit", options.limit, "N",
               "Keep this many prompts: the first ones, or with --seed a random draw.")
      .integer("seed", options.seed, "S",
               "With --limit, draw the prompts at random; the same seed draws the same ones.")
      .flag("dedupe", options.dedupe,
            "Keep one of several equal prompts; without it repeats get the ids ID-2, ID-3, ...")
      .number("near-duplicates", options.near_duplicates, "X",
              "Leave out prompts that are alike an earlier one, too: Jaccard similarity of their "
              "5-character pieces, 0 to 1, without regard to case and punctuation. 0.8 finds "
              "copies with a word changed.")
      .integer("min-chars", options.min_chars, "N",
               "Leave out prompts of fewer characters (all turns but the system's).")
      .integer("max-chars", options.max_chars, "N", "Leave out prompts of more characters.")
      .paths("exclude", options.exclude, "FILE",
             "Benchmarks (any data set that holds prompts) whose prompts must not be in the "
             "output. What was left out is listed in <output>.excluded.jsonl.")
      .number("exclude-overlap", options.exclude_overlap, "X",
              "With --exclude, share of runs of 8 words, of the prompt's or of the benchmark "
              "prompt's, from which on both count as the same.")
      .choice("turns", options.turns,
              {{"auto", storage::PromptTurns::kFirstOfPairs},
               {"first", storage::PromptTurns::kFirst},
               {"all", storage::PromptTurns::kAll}},
              "What is taken of several turns. auto: of preference pairs without a prompt column "
              "the first user turn, of conversations everything before the answer.");
  describe_reading(table, options.read);
}

void describe_generate(OptionTable& table, generate::GenerateStageOptions& options) {
  using generate::Endpoint;
  generate::ServerOptions& server = options.server;
  generate::SamplingOptions& sampling = options.sampling;
  table
      .path("model", options.model_dir, "DIR",
            "Hugging Face folder of the causal language model that answers; or --server.")
      .texts("server", server.urls, "URL",
             "Inference servers with an OpenAI-compatible API that all serve the same model: "
             "http://HOST:PORT, with or without /v1. A server that fails is left out until it "
             "answers again.")
      .text("server-model", server.model, "NAME",
            "With --server, the model's name there (vLLM: --served-model-name, or the path given "
            "to it).")
      .texts("accept-model", server.accepted_models, "NAME",
             "Further names under which answers may come; an answer of another model ends the "
             "command.")
      .choice("endpoint", server.endpoint,
              {{"chat", Endpoint::kChat}, {"completions", Endpoint::kCompletions}},
              "chat leaves the chat template to the server; completions renders it here "
              "(--tokenizer or --template).")
      .text("api-key-env", server.api_key_env, "VARIABLE",
            "Environment variable that holds the API key. Keys are taken from nowhere else.")
      .integer("n", options.num_samples, "N",
               "Responses per prompt, numbered in the column sample. 16 is usual for best-of-n.")
      .number("temperature", sampling.temperature, "X",
              "Divides the logits before drawing; 0 takes the most likely token every time.")
      .number("top-p", sampling.top_p, "X",
              "Draw from the smallest set of likely tokens whose probability reaches this; 1: from "
              "all.")
      .integer("top-k", options.top_k, "N",
               "Draw from this many of the likeliest tokens; 0: from all. Servers that are not "
               "told have their own default.")
      .number("min-p", options.min_p, "X",
              "Draw from tokens at least this likely relative to the likeliest. Servers that are "
              "not told have their own default.")
      .number("repetition-penalty", options.repetition_penalty, "X",
              "Above 1, tokens already seen become less likely. Servers that are not told have "
              "their own default.")
      .integer("max-new-tokens", sampling.max_new_tokens, "N",
               "Longest response in tokens; longer ones are cut there and marked finish_reason = "
               "length.")
      .texts("stop", sampling.stop, "TEXT", "Texts that end a response; they are not part of it.");
  Option stop_ids{.name = "stop-token-id", .form = Option::Form::kList, .value_name = "ID"};
  stop_ids.help = "Tokens that end a response, beside the model's own.";
  stop_ids.assign = [&sampling](const std::vector<std::string>& values) {
    sampling.stop_token_ids.clear();
    for (const std::string& value : values) sampling.stop_token_ids.push_back(parse_integer(value));
  };
  table.add(std::move(stop_ids))
      .integer("seed", sampling.seed, "S",
               "Random numbers of a response come from (seed, prompt_id, sample) alone; servers "
               "get a seed made of these.")
      .text("system", options.system, "TEXT",
            "System message put before prompts that have none. The output keeps the prompt without "
            "it, so that policies still meet by prompt.")
      .number(
          "cache-memory", options.cache_gib, "GIB",
          "With --model, memory for keys and values. More lets more responses be written at once.")
      .integer("batch", options.embedded.max_batch, "N",
               "With --model, responses written at once; more use the machine better and take more "
               "of the cache. Texts do not depend on it.")
      .integer("chunk-tokens", options.embedded.chunk_tokens, "N",
               "With --model, tokens of one pass: prompts are read in pieces of this size beside "
               "the writing.")
      .integer("concurrency", server.concurrency, "N",
               "Requests in flight per server. vLLM is busy from about 64; hosted APIs take fewer.")
      .number("timeout", server.timeout_s, "S",
              "Seconds one request may take, the longest response and waiting in the server's "
              "queue included.")
      .integer("retries", server.retries, "N",
               "How often a request is sent again after a failure, with growing, random pauses; "
               "then its row carries the error.")
      .number("wait", server.wait_s, "S",
              "Seconds to wait at the start for servers that are still loading their model.")
      .number("patience", server.patience_s, "S",
              "Seconds without any server after which the command ends; the same command continues "
              "later.")
      .path("tokenizer", server.tokenizer_dir, "DIR",
            "With --endpoint completions, folder whose chat template and special tokens are used.")
      .path("template", server.template_file, "FILE",
            "Chat template (Jinja) instead of the folder's own; with --model and with --endpoint "
            "completions.")
      .text("template-date", server.template_date, "YYYY-MM-DD",
            "Date of the clock a template sees.")
      .text("extra-body", server.extra_body, "JSON",
            "Members added to every request, such as '{\"chat_template_kwargs\": "
            "{\"enable_thinking\": false}}'.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Prompts that may be unusable, and responses that may fail, before the command ends "
               "without output.")
      .at_least(0)
      .text("split", options.read.split, "NAME",
            "Split to read of a Hugging Face DatasetDict or a folder of shards; needed where there "
            "are several.");
  describe_device(table, options.embedded.dtype, options.embedded.device);
  describe_bos(table, options.embedded.bos);
}

void describe_score(OptionTable& table, score::ScoreStageOptions& options) {
  describe_model(table, options.model);
  describe_encoder(table, options.encoder);
  describe_scorer(table, options.scorer);
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows that may be unusable, and rows that may end without a score, before the "
               "command ends.")
      .at_least(0);
}

}  // namespace charm::pipeline
