#include "charm/evaluate/scored_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/interrupt.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/records/eval_item.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/score/score_provenance.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::evaluate {
namespace {

using nlohmann::ordered_json;

storage::EvalShape shape_of(Benchmark benchmark) {
  switch (benchmark) {
    case Benchmark::kRmBench:
      return storage::EvalShape::kLists;
    case Benchmark::kRewardBench2:
    case Benchmark::kRmb:
    case Benchmark::kPpe:
      return storage::EvalShape::kSubsetLists;
    default:
      return storage::EvalShape::kPair;
  }
}

/// Everything that determines a score: the key of the journal and of the saved scores.
storage::Manifest scoring_manifest(const EvaluateOptions& options,
                                   std::span<const std::string> data_sha256) {
  storage::Manifest manifest("evaluate");
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  manifest.options(options, describe_scoring)
      .option("adapter", adapter_option(source))
      .option("benchmark", benchmark_name(options.benchmark));
  for (const fs::path& folder : source.folders()) manifest.input(folder);
  if (options.encoder.template_file) manifest.input(*options.encoder.template_file);
  for (std::size_t i = 0; i < options.data.size(); ++i)
    manifest.input_hashed(options.data[i], data_sha256[i]);
  return manifest;
}

/// Runs `score` unless the scores saved by a finished run are still valid for these options and
/// inputs. `score` gets the scoring function and the journal; it writes the file and returns its
/// number of rows.
void score_unless_finished(
    const EvaluateOptions& options, std::span<const std::string> data_sha256,
    const ProgressFn& progress,
    const std::function<std::int64_t(const score::ScoreRowsFn&, storage::Journal&)>& score) {
  const fs::path saved = saved_scores_path(options);
  storage::require_known_extension(saved);
  require_writable(saved);
  require_distinct(saved, options.data);
  const OutputLock lock(saved);
  storage::Manifest manifest = scoring_manifest(options, data_sha256);
  const std::string fingerprint = manifest.fingerprint();
  if (!options.fresh && fs::exists(saved) && manifest.matches(saved)) {
    log::info("{}: already scored with the same options and inputs; reused", saved.string());
    return;
  }
  const Interruptible interrupts(Interruptible::When::kAtOnce,
                                 "the finished rows are kept; run the same command again to "
                                 "continue");
  storage::Journal journal(saved, fingerprint, options.fresh);
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  const std::unique_ptr<engine::RewardModel> model =
      engine::load_reward_model(source, options.model);
  const text::ConversationEncoder encoder(source.tokenizer_folder,
                                          score::encoder_options(options.encoder, *model, source));
  score::ScorerOptions scorer = options.scorer;
  scorer.threads = options.model.threads;
  std::int64_t num_truncated = 0;
  const score::ScoreRowsFn score_rows = [&](const score::RowStore& store,
                                            std::span<const std::size_t> rows,
                                            const score::ScoredFn& on_scored) {
    const auto count = [&](std::span<const std::size_t> positions,
                           std::span<const score::RowScore> results) {
      num_truncated += std::count_if(results.begin(), results.end(),
                                     [](const score::RowScore& row) { return row.truncated; });
      if (on_scored) on_scored(positions, results);
    };
    return score::score_rows(*model, encoder, store, rows, scorer, count, progress);
  };
  const std::int64_t num_rows = score(score_rows, journal);
  if (num_truncated > 0) {
    log::warning("{} texts are longer than {} tokens and were truncated", num_truncated,
                 encoder.max_tokens());
  }
  ordered_json provenance = ordered_json::object();
  for (const auto& [key, value] : model->provenance()) provenance[key] = value;
  manifest.output(saved, num_rows)
      .extra("model", provenance)
      .extra("scoring_fingerprint", fingerprint);
  storage::write_manifest(saved, manifest);
  journal.remove();
}

void check_bad_rows(const std::vector<std::string>& errors, std::size_t num_rows,
                    const EvaluateOptions& options) {
  if (static_cast<std::int64_t>(errors.size()) > options.max_bad_rows) {
    throw Error(ErrorKind::kInput,
                "{} of {} rows could not be scored, --max-bad-rows is {}; the first: {}",
                errors.size(), num_rows, options.max_bad_rows, errors.front());
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(errors.size(), 5); ++i)
    log::warning("dropped: {}", errors[i]);
}

}  // namespace

ordered_json adapter_option(const engine::ModelSource& source) {
  const std::string text = source.adapter_text();
  return text.empty() ? ordered_json() : ordered_json(text);
}

fs::path saved_scores_path(const EvaluateOptions& options) {
  if (!options.save_scores.empty()) return options.save_scores;
  fs::path path = options.output;
  path.replace_extension(".scores.parquet");
  return path;
}

BenchmarkRows scored_rows(const EvaluateOptions& options, std::span<const std::string> data_sha256,
                          const ProgressFn& progress) {
  const ReadBenchmarkOptions reading{.benchmark = options.benchmark,
                                     .max_bad_rows = options.max_bad_rows};
  if (options.model_dir.empty()) {
    BenchmarkRows read = read_benchmark(options.scores, reading, /*with_scores=*/true);
    read.rows = limit_per_subset(std::move(read.rows), options.limit_per_subset, options.seed);
    return read;
  }
  BenchmarkRows read = read_benchmark(options.data, reading, /*with_scores=*/false);
  const std::vector<ScoredEvalItem> rows =
      limit_per_subset(std::move(read.rows), options.limit_per_subset, options.seed);
  score_unless_finished(options, data_sha256, progress,
                        [&](const score::ScoreRowsFn& score_rows, storage::Journal& journal) {
                          const ScoredItems scored = score_items(rows, score_rows, journal);
                          check_bad_rows(scored.errors, rows.size(), options);
                          storage::write_eval_scores(saved_scores_path(options), scored.rows,
                                                     shape_of(options.benchmark));
                          return static_cast<std::int64_t>(scored.rows.size());
                        });
  const std::vector<fs::path> saved = {saved_scores_path(options)};
  BenchmarkRows result = read_benchmark(saved, reading, /*with_scores=*/true);
  result.num_bad_rows += read.num_bad_rows;
  return result;
}

std::vector<Score> arena_scores(const EvaluateOptions& options,
                                std::span<const std::string> data_sha256,
                                const ProgressFn& progress) {
  const storage::ReadOptions reading{.max_bad_rows = options.max_bad_rows,
                                     .columns = options.columns};
  if (options.model_dir.empty()) return storage::read_score_files(options.scores, reading);
  score_unless_finished(options, data_sha256, progress,
                        [&](const score::ScoreRowsFn& score_rows, storage::Journal& journal) {
                          score::RowStore store;
                          std::vector<std::pair<fs::path, std::set<std::string>>> policies_of_files;
                          for (const fs::path& path : options.data) {
                            policies_of_files.emplace_back(path, std::set<std::string>{});
                            for (Response& response : storage::read_responses(path, reading)) {
                              policies_of_files.back().second.insert(response.policy);
                              store.add(std::move(response));
                            }
                          }
                          storage::check_distinct_policies(policies_of_files);
                          const std::vector<score::RowScore> scored =
                              score::score_rows_resumed(store, score_rows, journal);
                          std::vector<std::string> errors;
                          for (std::size_t r = 0; r < scored.size(); ++r) {
                            if (!scored[r].error) continue;
                            errors.push_back(fmt::format("prompt {} of {}: {}", store[r].prompt_id,
                                                         store[r].policy, *scored[r].error));
                          }
                          check_bad_rows(errors, scored.size(), options);
                          storage::write_scores(saved_scores_path(options), scored.size(),
                                                [&](std::size_t r) {
                                                  return score::scored_row(store, r, scored[r]);
                                                });
                          return static_cast<std::int64_t>(scored.size());
                        });
  const std::vector<fs::path> saved = {saved_scores_path(options)};
  return storage::read_score_files(saved, reading);
}

namespace {

/// The texts of one benchmark row as responses to its prompt, chosen ones first.
void append_responses(const EvalItem& item, score::RowStore& store) {
  const std::string prompt_id = prompt_id_of(item.prompt);
  const auto append = [&](const std::vector<std::string>& texts, const char* policy) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      store.add({.prompt_id = prompt_id,
                 .prompt = item.prompt,
                 .response = texts[i],
                 .policy = policy,
                 .sample = static_cast<std::int32_t>(i),
                 .finish_reason = {},
                 .num_tokens = {}});
    }
  };
  append(item.chosen, "chosen");
  append(item.rejected, "rejected");
}

}  // namespace

ScoredItems score_items(std::span<const ScoredEvalItem> rows, const score::ScoreRowsFn& score_rows,
                        storage::Journal& journal) {
  score::RowStore store;
  for (const ScoredEvalItem& row : rows) append_responses(row.item, store);
  const std::vector<score::RowScore> results =
      score::score_rows_resumed(store, score_rows, journal);

  ScoredItems scored;
  std::size_t next = 0;
  for (const ScoredEvalItem& row : rows) {
    const EvalItem& item = row.item;
    ScoredEvalItem out{item, {}, {}};
    std::string error;
    const auto take = [&](std::size_t count, std::vector<double>& scores) {
      for (std::size_t i = 0; i < count; ++i) {
        const score::RowScore& result = results[next++];
        if (result.error && error.empty()) error = *result.error;
        scores.push_back(static_cast<double>(result.score));
      }
    };
    take(item.chosen.size(), out.score_chosen);
    take(item.rejected.size(), out.score_rejected);
    if (!error.empty()) {
      out = {item, {}, {}};
      scored.errors.push_back(fmt::format("row {} of {}: {}", item.id, item.subset, error));
    }
    scored.rows.push_back(std::move(out));
  }
  return scored;
}

}  // namespace charm::evaluate
