#include "charm/generate/generate_stage.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/version.h"
#include "charm/generate/server_generator.h"
#include "charm/generate/server_protocol.h"
#include "charm/hub/url.h"
#include "charm/records/generated_response.h"
#include "charm/storage/generated_writer.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::generate {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Failed rows beyond `max_bad_rows` after which going on is a waste: the rest would hardly fare
/// better.
constexpr std::int64_t kMoreFailures = 32;

void check_options(const GenerateStageOptions& options) {
  const auto refuse_unless = [](bool good, std::string_view what) {
    if (!good) throw Error(ErrorKind::kUsage, "{}", what);
  };
  const SamplingOptions& sampling = options.sampling;
  const auto is_share = [](double x) { return x >= 0.0 && x <= 1.0; };
  refuse_unless(!options.policy.empty(), "--policy: expected a name");
  refuse_unless(std::isfinite(sampling.temperature) && sampling.temperature >= 0.0,
                "--temperature: expected 0 or more");
  refuse_unless(is_share(sampling.top_p) && sampling.top_p > 0.0,
                "--top-p: expected more than 0 and at most 1");
  refuse_unless(options.top_k.value_or(0) >= 0, "--top-k: expected 0 (all) or more");
  refuse_unless(is_share(options.min_p.value_or(0.0)), "--min-p: expected 0 to 1");
  refuse_unless(options.repetition_penalty.value_or(1.0) > 0.0 &&
                    std::isfinite(options.repetition_penalty.value_or(1.0)),
                "--repetition-penalty: expected more than 0");
  refuse_unless(sampling.max_new_tokens > 0, "--max-new-tokens: expected at least 1");
  refuse_unless(options.num_samples > 0, "--n: expected at least 1");
  refuse_unless(std::none_of(sampling.stop.begin(), sampling.stop.end(),
                             [](const std::string& s) { return s.empty(); }),
                "--stop: expected a text that is not empty");
  storage::require_known_extension(options.output);
  require_writable(options.output);
}

void check_source(const GenerateStageOptions& options) {
  const ServerOptions& server = options.server;
  if (server.urls.empty() == !options.model_dir.has_value()) {
    throw Error(ErrorKind::kUsage, "give either --model DIR or --server URL");
  }
  if (!(options.cache_gib > 0.0))
    throw Error(ErrorKind::kUsage, "--cache-memory: expected more than 0 GiB");
  if (server.urls.empty()) return;
  if (server.model.empty())
    throw Error(ErrorKind::kUsage, "--server needs --server-model, the model's name there");
  if (server.concurrency < 1) throw Error(ErrorKind::kUsage, "--concurrency: expected at least 1");
  if (!(server.timeout_s > 0.0))
    throw Error(ErrorKind::kUsage, "--timeout: expected more than 0 seconds");
  if (server.retries < 0) throw Error(ErrorKind::kUsage, "--retries: expected 0 or more");
}

ServerOptions full_server_options(const GenerateStageOptions& options) {
  ServerOptions server = options.server;
  server.top_k = options.top_k;
  server.min_p = options.min_p;
  server.repetition_penalty = options.repetition_penalty;
  if (server.api_key_env.empty()) return server;
  const char* key = std::getenv(server.api_key_env.c_str());
  if (key == nullptr || *key == '\0') {
    throw Error(ErrorKind::kUsage, "--api-key-env: the environment variable '{}' is not set",
                server.api_key_env);
  }
  server.api_key = key;
  return server;
}

SamplingOptions full_sampling(const GenerateStageOptions& options) {
  SamplingOptions sampling = options.sampling;
  sampling.top_k = options.top_k.value_or(0);
  sampling.min_p = options.min_p.value_or(0.0);
  sampling.repetition_penalty = options.repetition_penalty.value_or(1.0);
  return sampling;
}

/// What the file's columns say: with servers only what was sent.
SamplingSettings settings_of(const GenerateStageOptions& options) {
  const auto as_int = [](std::int64_t value) {
    return static_cast<std::int32_t>(std::min<std::int64_t>(value, INT32_MAX));
  };
  SamplingSettings settings{.temperature = options.sampling.temperature,
                            .top_p = options.sampling.top_p,
                            .top_k = {},
                            .min_p = options.min_p,
                            .repetition_penalty = options.repetition_penalty,
                            .max_new_tokens = as_int(options.sampling.max_new_tokens)};
  if (options.top_k) settings.top_k = as_int(*options.top_k);
  if (options.server.urls.empty()) {
    settings.top_k = as_int(options.top_k.value_or(0));
    settings.min_p = options.min_p.value_or(0.0);
    settings.repetition_penalty = options.repetition_penalty.value_or(1.0);
  }
  return settings;
}

template <typename T>
ordered_json optional_json(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

void record_options(const GenerateStageOptions& options, const storage::Provenance& facts,
                    storage::Manifest& manifest) {
  manifest.option("policy", options.policy)
      .option("generator", ordered_json::parse(storage::provenance_json(facts)))
      .option("n", options.num_samples)
      .option("temperature", options.sampling.temperature)
      .option("top-p", options.sampling.top_p)
      .option("top-k", optional_json(options.top_k))
      .option("min-p", optional_json(options.min_p))
      .option("repetition-penalty", optional_json(options.repetition_penalty))
      .option("max-new-tokens", options.sampling.max_new_tokens)
      .option("stop", options.sampling.stop)
      .option("stop-token-id", options.sampling.stop_token_ids)
      .option("system", options.system)
      .seed(options.sampling.seed);
}

bool is_blank(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; });
}

/// The rows to be, without responses: prompts in order, the samples of one together.
std::vector<GeneratedResponse> open_rows(const std::vector<Prompt>& prompts,
                                         const GenerateStageOptions& options) {
  std::vector<GeneratedResponse> rows;
  rows.reserve(prompts.size() * static_cast<std::size_t>(options.num_samples));
  for (const Prompt& prompt : prompts) {
    for (std::int32_t sample = 0; sample < options.num_samples; ++sample) {
      GeneratedResponse row;
      row.response.prompt_id = prompt.prompt_id;
      row.response.prompt = prompt.messages;
      row.response.policy = options.policy;
      row.response.sample = sample;
      if (is_blank(prompt.messages.back().content)) row.error = "the prompt is empty";
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

GenerationRequest request_for(const GeneratedResponse& row, std::size_t index,
                              const std::string& system) {
  GenerationRequest request{.index = index,
                            .prompt_id = row.response.prompt_id,
                            .prompt = row.response.prompt,
                            .sample = row.response.sample};
  if (!system.empty() && request.prompt.front().role != "system")
    request.prompt.insert(request.prompt.begin(), {"system", system});
  return request;
}

void fill(GeneratedResponse& row, GenerationResult result) {
  const auto known = [](std::int32_t count) {
    return count > 0 ? std::optional<std::int32_t>(count) : std::nullopt;
  };
  row.error = std::move(result.error);
  row.num_prompt_tokens = known(result.num_prompt_tokens);
  if (row.error) return;
  row.response.response = std::move(result.response);
  row.response.num_tokens = known(result.num_tokens);
  if (!result.finish_reason.empty()) row.response.finish_reason = std::move(result.finish_reason);
}

json journal_line(const GenerationResult& result) {
  return {result.index, result.response, result.finish_reason, result.num_prompt_tokens,
          result.num_tokens};
}

GenerationResult read_journal_line(const json& line) {
  return {.index = line.at(0).get<std::size_t>(),
          .response = line.at(1).get<std::string>(),
          .finish_reason = line.at(2).get<std::string>(),
          .num_prompt_tokens = line.at(3).get<std::int32_t>(),
          .num_tokens = line.at(4).get<std::int32_t>(),
          .error = {}};
}

/// Fills the rows that the journal holds; returns which they are.
std::vector<bool> restore(storage::Journal& journal, std::vector<GeneratedResponse>& rows) {
  std::vector<bool> done(rows.size(), false);
  try {
    for (const json& line : journal.take_finished()) {
      GenerationResult result = read_journal_line(line);
      const std::size_t row = result.index;
      fill(rows.at(row), std::move(result));
      done[row] = true;
    }
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput, "{}: does not fit the prompts ({}); remove it or use --fresh",
                journal.path().string(), error.what());
  }
  return done;
}

/// Nothing to do where the output is of this very run; an error where it is of another and would be
/// lost.
bool is_finished(const GenerateStageOptions& options, const storage::Manifest& manifest) {
  if (options.fresh || !fs::exists(options.output)) return false;
  const fs::path path = storage::manifest_path(options.output);
  const json stored =
      fs::exists(path) ? json::parse(read_file(path), nullptr, /*allow_exceptions=*/false) : json();
  if (stored.is_object() && stored.value("fingerprint", "") == manifest.fingerprint()) return true;
  // Killed between the output and its manifest: the journal still tells that it is ours.
  if (options.replace_other || fs::exists(storage::journal_path(options.output))) return false;
  throw Error(
      ErrorKind::kUsage,
      "{}: exists and was made from other prompts or with other options; --fresh replaces it",
      options.output.string());
}

GenerateStageResult summary_of(const std::vector<GeneratedResponse>& rows) {
  GenerateStageResult result;
  result.num_rows = static_cast<std::int64_t>(rows.size());
  for (const GeneratedResponse& row : rows) {
    result.num_errors += row.error ? 1 : 0;
    result.num_length += row.response.finish_reason == "length" ? 1 : 0;
    result.num_tokens += row.response.num_tokens.value_or(0);
  }
  return result;
}

[[noreturn]] void refuse_failures(const std::vector<GeneratedResponse>& rows,
                                  std::int64_t num_errors, std::int64_t max_bad_rows,
                                  std::string_view next) {
  const auto bad = std::find_if(rows.begin(), rows.end(),
                                [](const GeneratedResponse& row) { return row.error.has_value(); });
  throw Error(
      ErrorKind::kInput,
      "{} of {} responses failed, first: prompt {}: {}; expected at most {} (--max-bad-rows){}",
      num_errors, rows.size(), bad->response.prompt_id, *bad->error, max_bad_rows, next);
}

class ProgressReport {
 public:
  ProgressReport(const ProgressFn& progress, std::int64_t done, std::int64_t total)
      : progress_(progress), done_(done), total_(total) {}

  void add(std::int32_t num_tokens) {
    ++done_;
    num_tokens_ += num_tokens;
    if (!progress_) return;
    const double elapsed_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    progress_({"generating", done_, total_, "responses",
               num_tokens_ > 0 ? fmt::format("{:.0f} tokens/s", static_cast<double>(num_tokens_) /
                                                                    std::max(elapsed_s, 1e-3))
                               : ""});
  }

 private:
  const ProgressFn& progress_;
  std::int64_t done_;
  std::int64_t total_;
  std::int64_t num_tokens_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Asks for the rows that are open and keeps each response in the journal.
void answer_open_rows(const GenerateStageOptions& options, Generator& generator,
                      storage::Journal& journal, const std::vector<bool>& done,
                      std::vector<GeneratedResponse>& rows, const ProgressFn& progress) {
  std::vector<GenerationRequest> requests;
  std::int64_t num_errors = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    num_errors += rows[r].error ? 1 : 0;
    if (!done[r] && !rows[r].error) requests.push_back(request_for(rows[r], r, options.system));
  }
  ProgressReport report(progress, static_cast<std::int64_t>(rows.size() - requests.size()),
                        static_cast<std::int64_t>(rows.size()));
  std::vector<bool> answered(rows.size(), false);
  generator.generate(requests, full_sampling(options), [&](GenerationResult result) {
    const std::size_t r = result.index;
    CHARM_CHECK(r < rows.size() && !done[r] && !answered[r],
                "response to request {}, which is not open", r);
    answered[r] = true;
    if (!result.error) journal.append(journal_line(result));
    report.add(result.num_tokens);
    fill(rows[r], std::move(result));
    if (rows[r].error && ++num_errors > options.max_bad_rows + kMoreFailures) {
      refuse_failures(rows, num_errors, options.max_bad_rows,
                      "; stopped early, finished responses are kept in the journal");
    }
  });
  for (const GenerationRequest& request : requests)
    CHARM_CHECK(answered[request.index], "request {} got no answer", request.index);
}

/// Makes the generator only when there is something to generate.
using MakeGenerator = std::function<Generator&()>;

GenerateStageResult generate_with(const GenerateStageOptions& options,
                                  const storage::Provenance& facts, storage::Manifest manifest,
                                  const MakeGenerator& make, const ProgressFn& progress) {
  storage::ReadOptions read = options.read;
  read.max_bad_rows = options.max_bad_rows;
  const std::vector<Prompt> prompts = storage::read_prompts(options.prompts, read);
  manifest.input(options.prompts, static_cast<std::int64_t>(prompts.size()));
  record_options(options, facts, manifest);

  std::vector<GeneratedResponse> rows = open_rows(prompts, options);
  GenerateStageResult result;
  if (is_finished(options, manifest)) {
    log::info(
        "{}: finished before with the same prompts and options; nothing to do (--fresh starts "
        "over)",
        options.output.string());
    result.num_rows = static_cast<std::int64_t>(rows.size());
    result.skipped = true;
    return result;
  }
  storage::Journal journal(options.output, manifest.fingerprint(), options.fresh);
  const std::vector<bool> done = restore(journal, rows);
  const auto num_done = std::count(done.begin(), done.end(), true);
  if (num_done > 0)
    log::info("continuing: {} of {} responses were there before", num_done, rows.size());

  const bool any_open = std::count(done.begin(), done.end(), false) > 0;
  if (any_open) answer_open_rows(options, make(), journal, done, rows, progress);
  result = summary_of(rows);
  result.num_resumed = num_done;
  if (result.num_errors > options.max_bad_rows) {
    refuse_failures(rows, result.num_errors, options.max_bad_rows,
                    "; the other responses are kept in the journal");
  }
  storage::Provenance provenance = facts;
  provenance.emplace_back("seed", std::to_string(options.sampling.seed));
  if (!options.system.empty()) provenance.emplace_back("system", options.system);
  storage::write_generated(options.output, rows, settings_of(options), provenance);
  manifest.extra("fingerprint", manifest.fingerprint())
      .extra("num_errors", result.num_errors)
      .extra("num_length", result.num_length)
      .extra("num_tokens", result.num_tokens)
      .output(options.output, result.num_rows);
  storage::write_manifest(options.output, manifest);
  journal.remove();
  return result;
}

/// The members of `options` that decide what servers answer. Addresses do not: a run may go on
/// elsewhere.
storage::Provenance server_facts(const ServerOptions& server) {
  storage::Provenance facts = {
      {"program", "charm"},
      {"version", std::string(kVersion)},
      {"server_model", server.model},
      {"endpoint", server.endpoint == Endpoint::kChat ? "chat" : "completions"}};
  if (!server.extra_body.empty()) facts.emplace_back("extra_body", server.extra_body);
  return facts;
}

GenerateStageResult generate_with_model(const GenerateStageOptions& options,
                                        const ProgressFn& progress) {
  EmbeddedOptions embedded = options.embedded;
  embedded.model_dir = *options.model_dir;
  embedded.template_file = options.server.template_file;
  embedded.template_date = options.server.template_date;
  embedded.cache_bytes = static_cast<std::int64_t>(options.cache_gib * 1024.0 * 1024.0 * 1024.0);
  const std::unique_ptr<EmbeddedGenerator> generator = make_embedded_generator(embedded);
  storage::Manifest manifest("generate");
  manifest.input_hashed(*options.model_dir,
                        *storage::find_fact(generator->provenance(), "model_sha256"));
  return generate_with(
      options, generator->provenance(), std::move(manifest),
      [&]() -> Generator& { return *generator; }, progress);
}

void record_server(const ServerOptions& server, storage::Manifest& manifest) {
  std::vector<std::string> shown;
  for (const std::string& url : server.urls) shown.push_back(hub::shown_url(url));
  manifest.extra("servers", shown);
  if (server.endpoint != Endpoint::kCompletions) return;
  if (server.tokenizer_dir && fs::exists(*server.tokenizer_dir / "tokenizer_config.json")) {
    manifest.input(*server.tokenizer_dir / "tokenizer_config.json");
  }
  if (server.template_file) manifest.input(*server.template_file);
  manifest.option("template-date", server.template_date);
}

}  // namespace

GenerateStageResult generate_stage(const GenerateStageOptions& options, Generator& generator,
                                   const storage::Provenance& facts, const ProgressFn& progress) {
  check_options(options);
  return generate_with(
      options, facts, storage::Manifest("generate"), [&]() -> Generator& { return generator; },
      progress);
}

GenerateStageResult generate_stage(const GenerateStageOptions& options,
                                   const ProgressFn& progress) {
  check_options(options);
  check_source(options);
  if (options.model_dir) return generate_with_model(options, progress);
  storage::Manifest manifest("generate");
  std::unique_ptr<Generator> generator;
  const ServerOptions server = full_server_options(options);
  record_server(server, manifest);
  // A wrong address or body is an error even where the journal holds everything.
  for (const std::string& url : server.urls) api_base(url);
  common_members(server, options.sampling, ServerKind::kOther);
  return generate_with(
      options, server_facts(server), std::move(manifest),
      [&]() -> Generator& {
        generator = make_server_generator(server);
        return *generator;
      },
      progress);
}

}  // namespace charm::generate
