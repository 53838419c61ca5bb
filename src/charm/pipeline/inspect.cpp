#include "charm/pipeline/inspect.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/heads.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/weight_names.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/text/special_tokens.h"

namespace charm::pipeline {
namespace {

// Scoring keeps the weights once and a bounded workspace beside them (DESIGN: at most 1 GiB).
constexpr std::int64_t kWorkspaceBytes = std::int64_t{1} << 30;
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

/// Activation memory of a batch of the default budget on a GPU, in bfloat16: residual stream,
/// norms, projections, RoPE's float32 halves, and gathered keys (torch/block.cpp,
/// torch/varlen_attention.cpp).
std::int64_t gpu_workspace_bytes(const engine::DecoderConfig& config) {
  constexpr std::int64_t kTokens = 16384, kGatheredRows = 65536;
  const std::int64_t heads = config.num_heads * config.head_dim,
                     key_heads = config.num_kv_heads * config.head_dim;
  const std::int64_t row = 2 * (4 * config.hidden_size + 2 * (heads + 2 * key_heads) +
                                2 * engine::mlp_values_per_token(config)) +
                           4 * (heads + key_heads);
  return kTokens * row + kGatheredRows * 2 * key_heads * 2;
}

Response built_in_sample() {
  Response row;
  row.prompt_id = row.policy = "sample";
  row.prompt = {{"user", "What is the capital of France?"}};
  row.response = "Paris.";
  return row;
}

std::string experts_text(const engine::ExpertConfig& experts) {
  std::string text = fmt::format(
      "{} of width {}, {} per token{}", experts.routing.num_experts, experts.width,
      experts.routing.experts_per_token,
      experts.routing.normalise ? ", weights sum to 1" : ", weights sum to less than 1");
  if (!experts.dense_layers.empty())
    text += fmt::format("; none in layers {}", fmt::join(experts.dense_layers, ", "));
  return text;
}

std::string delta_net_text(const engine::DeltaNetConfig& net, std::int64_t num_layers) {
  return fmt::format(
      "gated delta net in {} of {} layers: {} key heads of {}, {} value heads of {}, convolution "
      "over {} tokens",
      net.layers.size(), num_layers, net.shape.key_heads, net.shape.key_dim, net.shape.value_heads,
      net.shape.value_dim, net.taps);
}

/// What the kinds of layers of a gemma4_text model differ in.
std::string layer_kinds_text(const engine::DecoderConfig& config) {
  const engine::GlobalLayers& global = *config.global_layers;
  std::string text =
      fmt::format("without a window {} key/value heads of {}{}", global.num_kv_heads,
                  global.head_dim, global.values_are_keys ? ", values are keys" : "");
  if (config.num_shared_kv_layers > 0)
    text += fmt::format("; the last {} use keys and values of others", config.num_shared_kv_layers);
  if (config.per_layer)
    text += fmt::format("; {} per-layer inputs of a token", config.per_layer->width);
  return text;
}

/// What is stored: sizes, the adapter, wrappers of training frameworks.
void add_stored(Inspection& inspection, const engine::ModelSource& source) {
  const engine::StoredModel stored = engine::describe_stored(source);
  inspection.weights_bytes = stored.weights_bytes;
  if (!stored.adapter.empty()) inspection.adapter = stored.adapter;
  for (const auto& notes : {stored.notes, stored.warnings})
    inspection.warnings.insert(inspection.warnings.end(), notes.begin(), notes.end());
}

std::string head_text(const engine::DecoderConfig& config) {
  if (config.head == engine::HeadKind::kNone)
    return "none (a causal language model: --adapter, --head, or charm train --new-head)";
  std::string text(engine::head_of(config.head).title);
  if (config.head == engine::HeadKind::kLmLogit)
    text += fmt::format(", token {}", config.head_logit_id);
  if (config.score_mean != 0.0 || config.score_std != 1.0) {
    text += fmt::format(", normalised by the config's mean {} and std {}", config.score_mean,
                        config.score_std);
  }
  if (!config.head_place.empty()) text += fmt::format(", found in {}", config.head_place);
  return text;
}

std::string gib(std::int64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / kGiB);
}

/// Warns of unusual padding and special tokens, which are common causes of wrong scores.
void add_token_warnings(Inspection& inspection, const text::ConversationEncoder& encoder,
                        const engine::PooledRow& pooled, std::size_t num_tokens) {
  const engine::DecoderConfig& config = inspection.config;
  const bool pools_last =
      config.head != engine::HeadKind::kNone && engine::head_of(config.head).pools_last_token;
  if (config.pad_token_id < 0 && !pools_last) {
    inspection.warnings.push_back(
        "config.json names no pad_token_id: transformers scores such a model one row at a time; "
        "the last token is pooled here");
  }
  const bool pad_is_eos = std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(),
                                    config.pad_token_id) != config.eos_token_ids.end();
  if (pad_is_eos) {
    inspection.warnings.push_back(
        fmt::format("pad_token_id {} is also an end-of-sequence token: where a conversation ends "
                    "with it, an earlier token is pooled, as in transformers",
                    config.pad_token_id));
  }
  if (pooled.ids.size() < num_tokens) {
    inspection.warnings.push_back(
        fmt::format("the sample's last {} token(s) equal pad_token_id {} and are not pooled; "
                    "--pooling last always takes the last token",
                    num_tokens - pooled.ids.size(), config.pad_token_id));
  }
  if (static_cast<std::int64_t>(encoder.tokenizer().vocab_size()) > config.vocab_size) {
    inspection.warnings.push_back(fmt::format(
        "the tokenizer has {} entries but the model {} rows: some tokens cannot be scored",
        encoder.tokenizer().vocab_size(), config.vocab_size));
  }
  const auto bos = std::count_if(inspection.sample.begin(), inspection.sample.end(),
                                 [](const SampleToken& t) { return t.is_bos; });
  if (config.bos_token_id && bos == 0)
    inspection.warnings.push_back("the sample has no beginning-of-sequence token");
  if (bos > 1)
    inspection.warnings.push_back(
        fmt::format("the sample has {} beginning-of-sequence tokens", bos));
}

/// transformers 5 rebuilds some tokenizers from their class name and ignores the rest of
/// tokenizer.json.
void add_tokenizer_warning(Inspection& inspection, const fs::path& model_dir) {
  const nlohmann::json config = text::read_config(model_dir, "tokenizer_config.json");
  if (const auto add_bos = config.find("add_bos_token");
      add_bos != config.end() && add_bos->is_boolean()) {
    const bool begins = !inspection.sample.empty() && inspection.sample.front().is_bos;
    if (begins != add_bos->get<bool>()) {
      inspection.warnings.push_back(
          fmt::format("tokenizer_config.json says add_bos_token {}, which has no effect beside a "
                      "tokenizer.json, as in transformers 5 (4.57's LlamaTokenizerFast heeded it)",
                      add_bos->get<bool>()));
    }
  }
  const std::string name = config.value("tokenizer_class", nlohmann::json()).dump();
  const bool is_rebuilt =
      name.starts_with("\"LlamaTokenizer") && inspection.config.model_type == "llama";
  if (!is_rebuilt) return;
  const nlohmann::json tokenizer = text::read_config(model_dir, "tokenizer.json");
  const auto mentions = [&](const char* part, std::string_view type) {
    return tokenizer.value(part, nlohmann::json()).dump().find(type) != std::string::npos;
  };
  if (mentions("pre_tokenizer", "\"ByteLevel\"")) {
    inspection.warnings.push_back(
        "tokenizer_class LlamaTokenizer with a byte-level tokenizer.json: AutoTokenizer of "
        "transformers 5.17 builds another pre-tokenizer and drops every space (mended in 5.23); "
        "charm uses tokenizer.json as written");
  }
  if (!mentions("normalizer", "\"Prepend\"")) return;
  inspection.warnings.push_back(
      "tokenizer_class LlamaTokenizer: AutoTokenizer of transformers 5 ignores the normalizer of "
      "tokenizer.json, so leading white space and text after special tokens get different ids "
      "there; charm uses tokenizer.json as written");
}

SampleRow sample_row(text::EncodedRow encoded) {
  SampleRow row;
  row.ids = std::move(encoded.tokens.ids);
  row.prompt_length = encoded.tokens.prompt_length;
  row.truncated = encoded.tokens.truncated;
  row.error = std::move(encoded.error);
  return row;
}

SampleRow encode_row(const text::ConversationEncoder& encoder, const Response& row) {
  return sample_row(encoder.encode_row(row.prompt, encoder.prompt_ids(row.prompt), row.message()));
}

/// Times one conversation, sized for a fraction of a second at 100 GFLOP/s, at least 96 tokens (the
/// row block of a GEMM).
MeasuredSpeed measure_speed(engine::RewardModel& model, std::int64_t num_parameters) {
  constexpr double kFlops = 0.4 * 100e9;
  const auto wanted =
      static_cast<std::int64_t>(kFlops / (2.0 * static_cast<double>(num_parameters)));
  const std::int64_t num_tokens =
      std::min(std::clamp<std::int64_t>(wanted / 96 * 96, 96, 1920), model.config().max_positions);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < num_tokens; ++i) {
    const auto id = static_cast<std::int32_t>(i * 7919 % model.config().vocab_size);
    ids.push_back(id == model.config().pad_token_id
                      ? (id + 1) % static_cast<std::int32_t>(model.config().vocab_size)
                      : id);
  }
  engine::PooledRow row;
  row.prompt_length = num_tokens / 4;
  const std::vector<std::int32_t> gate = model.config().gate_tokens;
  std::copy(gate.begin(), gate.end(), ids.begin() + row.prompt_length);
  row.ids = std::move(ids);
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  rows.emplace_back(0, std::move(row));
  const engine::PackedBatch packed = engine::pack(engine::group_by_prompt(std::move(rows)));
  if (model.batches_in_flight() > 1) model.score(packed);  // a GPU loads its libraries at first use
  const auto start = std::chrono::steady_clock::now();
  model.score(packed);
  MeasuredSpeed speed;
  speed.num_tokens = num_tokens;
  speed.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return speed;
}

}  // namespace

std::int64_t count_parameters(const engine::DecoderConfig& config) {
  engine::DecoderWeights none;
  std::int64_t count = 0;
  for (const engine::WeightSlot& slot : engine::weight_slots(none, config)) {
    count +=
        std::accumulate(slot.shape.begin(), slot.shape.end(), std::int64_t{1}, std::multiplies<>());
  }
  return count;
}

Inspection inspect_model(const InspectOptions& options) {
  std::error_code error;
  if (!fs::is_directory(options.model_dir, error)) {
    throw Error(ErrorKind::kIo, "{}: not a folder; expected a Hugging Face model folder",
                options.model_dir.string());
  }
  Inspection inspection;
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  if (source.adapter_left_out) {
    inspection.adapter = "none";
    inspection.warnings.push_back(
        "a PEFT adapter lies beside the weights and is left out (--adapter none)");
  }
  inspection.config = engine::load_model_config(source);
  add_stored(inspection, source);
  inspection.num_parameters = count_parameters(inspection.config);
  inspection.memory_float32_bytes = inspection.num_parameters * 4 + kWorkspaceBytes;
  inspection.memory_bfloat16_bytes = inspection.num_parameters * 2 + kWorkspaceBytes;
  inspection.memory_gpu_bytes =
      inspection.num_parameters * 2 + gpu_workspace_bytes(inspection.config);

  text::EncoderOptions encoder_options = options.encoder;
  encoder_options.template_folder = source.template_folder;
  encoder_options.text_pairs = inspection.config.encoder.has_value();
  const text::ConversationEncoder encoder(source.tokenizer_folder, encoder_options);
  inspection.template_name = encoder.chat_template().name();
  inspection.template_source = encoder.chat_template().source();
  inspection.template_sha256 = encoder.chat_template().sha256();
  inspection.tokenizer_sha256 = sha256_file(source.tokenizer_folder / "tokenizer.json");
  inspection.tokenizer_entries = encoder.tokenizer().vocab_size();
  Response row = built_in_sample();
  SampleRow encoded;
  if (options.sample_file) {
    const std::vector<Response> rows = storage::read_responses(*options.sample_file, {});
    for (const Response& r : rows) inspection.samples.push_back(encode_row(encoder, r));
    const auto usable = std::find_if(inspection.samples.begin(), inspection.samples.end(),
                                     [](const SampleRow& r) { return !r.error; });
    if (usable == inspection.samples.end()) {
      throw Error(ErrorKind::kInput, "{}: {}", options.sample_file->string(),
                  *inspection.samples.front().error);
    }
    encoded = *usable;
    row = rows[static_cast<std::size_t>(usable - inspection.samples.begin())];
  } else {
    encoded = encode_row(encoder, row);
    if (encoded.error) throw Error(ErrorKind::kInput, "{}", *encoded.error);
  }
  const std::int32_t appended = inspection.config.appended_token;
  if (appended >= 0 && encoded.ids.back() != appended) encoded.ids.push_back(appended);
  const std::int32_t pad =
      options.pooling == score::Pooling::kLast ? -1 : inspection.config.pad_token_id;
  const engine::PooledRow pooled = engine::make_pooled_row(encoded.ids, encoded.prompt_length, pad,
                                                           inspection.config.gate_tokens);
  const std::size_t pooled_place = inspection.config.encoder ? 0 : pooled.ids.size() - 1;
  for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
    const std::int32_t id = encoded.ids[i];
    inspection.sample.push_back({.id = id,
                                 .text = encoder.tokenizer().decode(std::vector<std::int32_t>{id},
                                                                    /*skip_special_tokens=*/false),
                                 .is_bos = inspection.config.bos_token_id == id,
                                 .is_pooled = i == pooled_place});
  }
  add_token_warnings(inspection, encoder, pooled, encoded.ids.size());
  add_tokenizer_warning(inspection, source.tokenizer_folder);
  if (inspection.config.head == engine::HeadKind::kNone || options.config_only) return inspection;

  const std::unique_ptr<engine::RewardModel> reward_model =
      engine::load_reward_model(source, options.model);
  inspection.provenance = reward_model->provenance();
  const score::RowStore store({row});
  const std::vector<score::RowScore> scored = score::score_rows(
      *reward_model, encoder, store, store.all_rows(), {.pooling = options.pooling});
  if (scored.front().error) {
    inspection.warnings.push_back("the sample cannot be scored: " + *scored.front().error);
  } else {
    inspection.sample_score = scored.front().score;
    inspection.speed = measure_speed(*reward_model, inspection.num_parameters);
  }
  return inspection;
}

std::string inspection_text(const Inspection& inspection) {
  const engine::DecoderConfig& config = inspection.config;
  std::string text;
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("{:<18} {}\n", name, value);
  };
  line("architecture", config.wrapper.empty()
                           ? config.architecture
                           : fmt::format("{}, the text side of a {} (rows with images are refused)",
                                         config.architecture, config.wrapper));
  line("parameters", fmt::format("{} ({:.1f} M)", inspection.num_parameters,
                                 static_cast<double>(inspection.num_parameters) / 1e6));
  line("layers", fmt::format("{} of width {}, {} heads of {}, {} key/value heads, mlp {}",
                             config.num_layers, config.hidden_size, config.num_heads,
                             config.head_dim, config.num_kv_heads, config.intermediate_size));
  if (config.global_layers) line("kinds of layers", layer_kinds_text(config));
  if (config.delta_net)
    line("linear attention", delta_net_text(*config.delta_net, config.num_layers));
  if (config.experts) line("experts", experts_text(*config.experts));
  line("vocabulary",
       fmt::format("{}{}", config.vocab_size, config.tie_word_embeddings ? ", tied" : ""));
  line("positions", std::to_string(config.max_positions));
  line("head", head_text(config));
  if (!inspection.adapter.empty()) line("adapter", inspection.adapter);
  line("stored", fmt::format("{} of weights{}", gib(inspection.weights_bytes),
                             config.stored_dtype.empty() ? "" : ", " + config.stored_dtype));
  const bool scores_alone = engine::scores_alone(config);
  line("memory to score",
       fmt::format("about {} in float32, {} in bfloat16{}", gib(inspection.memory_float32_bytes),
                   gib(inspection.memory_bfloat16_bytes),
                   scores_alone ? "" : "; of a GPU " + gib(inspection.memory_gpu_bytes)));
  if (scores_alone) line("computed", "for scoring, on the CPU; not trained, no generation");
  for (const auto& [name, value] : inspection.provenance) line(name, value);
  if (inspection.speed) {
    line("speed",
         fmt::format("about {:.0f} tokens/s (measured: one conversation of {} tokens in {:.2f} s)",
                     inspection.speed->tokens_per_second(), inspection.speed->num_tokens,
                     inspection.speed->seconds));
  }
  line("tokenizer", fmt::format("tokenizer.json, {} entries, sha256 {}",
                                inspection.tokenizer_entries, inspection.tokenizer_sha256));
  line("chat template",
       fmt::format("{}, sha256 {}", inspection.template_name, inspection.template_sha256));
  text += inspection.template_source;
  if (text.back() != '\n') text += '\n';
  text += "\nsample (* marks beginning-of-sequence, > the pooled token):\n";
  for (const SampleToken& token : inspection.sample) {
    text += fmt::format(
        "  {}{} {:>7}  {}\n", token.is_bos ? '*' : ' ', token.is_pooled ? '>' : ' ', token.id,
        nlohmann::json(token.text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  if (inspection.sample_score) line("sample score", fmt::format("{}", *inspection.sample_score));
  for (const std::string& warning : inspection.warnings) text += "warning: " + warning + "\n";
  return text;
}

nlohmann::ordered_json inspection_json(const Inspection& inspection) {
  const engine::DecoderConfig& config = inspection.config;
  nlohmann::ordered_json json = {
      {"architecture", config.architecture},
      {"num_parameters", inspection.num_parameters},
      {"num_layers", config.num_layers},
      {"hidden_size", config.hidden_size},
      {"vocab_size", config.vocab_size},
      {"max_positions", config.max_positions},
      {"head", config.head == engine::HeadKind::kNone ? "none" : engine::head_of(config.head).name},
      {"head_place", config.head_place},
      {"normalised",
       config.score_mean != 0.0 || config.score_std != 1.0
           ? nlohmann::ordered_json{{"mean", config.score_mean}, {"std", config.score_std}}
           : nlohmann::ordered_json()},
      {"adapter", inspection.adapter},
      {"weights_bytes", inspection.weights_bytes},
      {"memory_bytes",
       {{"float32", inspection.memory_float32_bytes},
        {"bfloat16", inspection.memory_bfloat16_bytes},
        {"gpu", inspection.memory_gpu_bytes}}},
      {"pad_token_id", config.pad_token_id},
      {"eos_token_ids", config.eos_token_ids},
      {"chat_template",
       {{"name", inspection.template_name},
        {"sha256", inspection.template_sha256},
        {"source", inspection.template_source}}}};
  json["bos_token_id"] =
      config.bos_token_id ? nlohmann::ordered_json(*config.bos_token_id) : nlohmann::ordered_json();
  json["tokenizer"] = {{"sha256", inspection.tokenizer_sha256},
                       {"num_entries", inspection.tokenizer_entries}};
  if (inspection.speed) {
    json["speed"] = {{"tokens_per_second", inspection.speed->tokens_per_second()},
                     {"num_tokens", inspection.speed->num_tokens},
                     {"seconds", inspection.speed->seconds}};
  }
  for (const SampleRow& row : inspection.samples) {
    if (row.error) {
      json["samples"].push_back({{"error", *row.error}});
    } else {
      json["samples"].push_back(
          {{"ids", row.ids}, {"prompt_length", row.prompt_length}, {"truncated", row.truncated}});
    }
  }
  for (const auto& [name, value] : inspection.provenance) json["used"][name] = value;
  for (const SampleToken& token : inspection.sample) {
    json["sample"].push_back({{"id", token.id},
                              {"text", token.text},
                              {"bos", token.is_bos},
                              {"pooled", token.is_pooled}});
  }
  json["sample_score"] = inspection.sample_score ? nlohmann::ordered_json(*inspection.sample_score)
                                                 : nlohmann::ordered_json();
  json["warnings"] = inspection.warnings;
  return json;
}

}  // namespace charm::pipeline
