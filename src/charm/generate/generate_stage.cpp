#include "charm/generate/generate_stage.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/interrupt.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/engine/model_source.h"
#include "charm/generate/generated_rows.h"
#include "charm/generate/resolved_options.h"
#include "charm/generate/server_generator.h"
#include "charm/generate/server_protocol.h"
#include "charm/records/response.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::generate {
namespace {

/// Failed rows beyond `max_bad_rows` after which to stop early: the others would likely fail too.
constexpr std::int64_t kExtraFailures = 32;

/// True if the output is of this run; throws kUsage if it is of another and would be overwritten.
bool is_finished(const GenerateStageOptions& options, const storage::Manifest& manifest) {
  if (options.fresh || !fs::exists(options.output)) return false;
  if (manifest.matches(options.output)) return true;
  // Killed between writing the output and its manifest: the journal shows that it is ours.
  if (options.replace_other || fs::exists(storage::journal_path(options.output))) return false;
  throw Error(ErrorKind::kUsage,
              "{}: exists and is of other prompts or options; --fresh replaces it",
              options.output.string());
}

GenerateStageResult summary_of(const std::vector<GeneratedResponse>& rows,
                               std::int64_t max_new_tokens) {
  GenerateStageResult result;
  result.num_rows = static_cast<std::int64_t>(rows.size());
  for (const GeneratedResponse& row : rows) {
    result.num_errors += row.error ? 1 : 0;
    result.num_tokens += row.response.num_tokens.value_or(0);
    if (row.response.finish_reason != "length") continue;
    ++result.num_length;
    const std::int64_t num_tokens = row.response.num_tokens.value_or(max_new_tokens);
    if (num_tokens >= max_new_tokens) continue;
    ++result.num_early;
    result.early_tokens =
        std::max(result.early_tokens, row.num_prompt_tokens.value_or(0) + num_tokens);
  }
  return result;
}

/// Whether every prompt with several responses has equal ones, and there is such a prompt.
bool all_samples_equal(const std::vector<GeneratedResponse>& rows) {
  bool any = false;
  const GeneratedResponse* first = nullptr;  // of the prompt
  for (const GeneratedResponse& row : rows) {
    if (row.error) continue;
    if (first == nullptr || first->response.prompt_id != row.response.prompt_id) {
      first = &row;
      continue;
    }
    if (first->response.response != row.response.response) return false;
    any = true;
  }
  return any;
}

[[noreturn]] void throw_failures(const std::vector<GeneratedResponse>& rows,
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

/// Generates the pending rows and appends each response to the journal.
void generate_pending(const GenerateStageOptions& options, Generator& generator,
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
  std::vector<bool> completed(rows.size(), false);
  generator.generate(requests, resolved_sampling(options), [&](GenerationResult result) {
    const std::size_t r = result.index;
    CHARM_CHECK(r < rows.size() && !done[r] && !completed[r],
                "response to request {}, which is not pending", r);
    completed[r] = true;
    if (!result.error) journal.append(journal_line(result));
    report.add(result.num_tokens);
    set_result(rows[r], std::move(result));
    if (rows[r].error && ++num_errors > options.max_bad_rows + kExtraFailures) {
      throw_failures(rows, num_errors, options.max_bad_rows,
                     "; stopped early, completed responses are kept in the journal");
    }
  });
  for (const GenerationRequest& request : requests)
    CHARM_CHECK(completed[request.index], "request {} got no response", request.index);
}

/// Creates the generator if there is anything to generate.
using MakeGenerator = std::function<Generator&()>;

GenerateStageResult generate_with(const GenerateStageOptions& options, const OutputLock& lock,
                                  const storage::Provenance& facts, storage::Manifest manifest,
                                  const MakeGenerator& make, const ProgressFn& progress) {
  storage::ReadOptions read = options.read;
  read.max_bad_rows = options.max_bad_rows;
  const std::vector<Prompt> prompts = storage::read_prompts(options.prompts, read);
  manifest.input(options.prompts, static_cast<std::int64_t>(prompts.size()));
  record_options(options, facts, manifest);

  std::vector<GeneratedResponse> rows = pending_rows(prompts, options);
  GenerateStageResult result;
  if (is_finished(options, manifest)) {
    log::info("{}: complete already with the same prompts and options (--fresh starts over)",
              options.output.string());
    result.num_rows = static_cast<std::int64_t>(rows.size());
    result.skipped = true;
    return result;
  }
  const Interruptible interrupts(Interruptible::When::kAtOnce,
                                 "the finished responses are kept; run the same command again to "
                                 "continue");
  storage::Journal journal(options.output, manifest.fingerprint(), options.fresh);
  const std::vector<bool> done = restore(journal, rows);
  const auto num_done = std::count(done.begin(), done.end(), true);
  if (num_done > 0)
    log::info("resuming: {} of {} responses are in the journal", num_done, rows.size());

  const bool any_pending = std::count(done.begin(), done.end(), false) > 0;
  if (any_pending) generate_pending(options, make(), journal, done, rows, progress);
  result = summary_of(rows, options.sampling.max_new_tokens);
  result.num_resumed = num_done;
  if (result.num_errors > options.max_bad_rows) {
    throw_failures(rows, result.num_errors, options.max_bad_rows,
                   "; the other responses are kept in the journal");
  }
  const double temperature = resolved_sampling(options).temperature;
  result.ignores_temperature = temperature > 0.0 && all_samples_equal(rows);
  if (result.ignores_temperature) {
    log::warning(
        "all samples of every prompt are equal although --temperature is {}: the generator seems "
        "to decode greedily; see the table of servers in docs/generate.md",
        temperature);
  }
  storage::Provenance provenance = facts;
  provenance.emplace_back("seed", std::to_string(options.sampling.seed));
  if (!options.system.empty()) provenance.emplace_back("system", options.system);
  lock.require_held();
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

GenerateStageResult generate_with_model(const GenerateStageOptions& options, const OutputLock& lock,
                                        const ProgressFn& progress) {
  EmbeddedOptions embedded = options.embedded;
  embedded.model_dir = *options.model_dir;
  embedded.template_file = options.server.template_file;
  embedded.template_date = options.server.template_date;
  embedded.template_kwargs = options.server.template_kwargs;
  embedded.cache_bytes = static_cast<std::int64_t>(options.cache_gib * 1024.0 * 1024.0 * 1024.0);
  const std::unique_ptr<EmbeddedGenerator> generator = make_embedded_generator(embedded);
  storage::Manifest manifest("generate");
  manifest.input_hashed(*options.model_dir,
                        *storage::find_fact(generator->provenance(), "model_sha256"));
  const fs::path folder = engine::resolve_model_source(embedded.model_dir, embedded.source).folder;
  return generate_with(
      with_model_defaults(options, folder), lock, generator->provenance(), std::move(manifest),
      [&]() -> Generator& { return *generator; }, progress);
}

}  // namespace

GenerateStageResult generate_stage(const GenerateStageOptions& options, Generator& generator,
                                   const storage::Provenance& facts, const ProgressFn& progress) {
  check_options(options);
  const OutputLock lock(options.output);
  return generate_with(
      options, lock, facts, storage::Manifest("generate"),
      [&]() -> Generator& { return generator; }, progress);
}

GenerateStageResult generate_stage(const GenerateStageOptions& options,
                                   const ProgressFn& progress) {
  check_options(options);
  check_source(options);
  const OutputLock lock(options.output);
  if (options.model_dir) return generate_with_model(options, lock, progress);
  storage::Manifest manifest("generate");
  std::unique_ptr<Generator> generator;
  const ServerOptions server = resolved_server_options(options);
  record_server(server, manifest);
  // Validates URLs and body even if the journal is complete.
  for (const std::string& url : server.urls) api_base(url);
  common_fields(server, options.sampling, ServerKind::kOther);
  return generate_with(
      options, lock, server_facts(server), std::move(manifest),
      [&]() -> Generator& {
        generator = make_server_generator(server);
        return *generator;
      },
      progress);
}

}  // namespace charm::generate
