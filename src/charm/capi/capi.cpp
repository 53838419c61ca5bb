#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/option_table.h"
#include "charm/base/version.h"
#include "charm/capi/charm.h"
#include "charm/cli/command_line.h"
#include "charm/pipeline/sources.h"
#include "charm/records/response.h"
#include "charm/score/score_provenance.h"
#include "charm/score/scorer.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_source.h"

/// The model, and how its rows are encoded.
struct charm_reward_model {
  charm::score::ScoreStageOptions options;
  std::unique_ptr<charm::engine::RewardModel> model;
  std::unique_ptr<charm::text::ConversationEncoder> encoder;
  std::string facts;
  std::mutex mutex;
};

struct charm_scores {
  std::vector<float> values;
  std::vector<std::int32_t> num_tokens;
  std::vector<std::uint8_t> truncated;
  std::vector<std::string> errors;  ///< empty: none
};

namespace charm::capi {
namespace {

thread_local std::string last_error;

/// The progress callback asked for the end.
struct Cancelled : std::exception {
  const char* what() const noexcept override { return "cancelled"; }
};

ProgressFn progress_fn(charm_progress callback, void* context) {
  if (callback == nullptr) return {};
  return [callback, context](const Progress& progress) {
    const int stop = callback(context, progress.what.c_str(), progress.done, progress.total,
                              progress.unit.c_str());
    if (stop != 0) throw Cancelled();
  };
}

charm_status fail(charm_status status, const std::string& message) {
  last_error = message;
  return status;
}

/// Runs `body`; no exception leaves it.
template <typename Body>
charm_status guarded(const Body& body) noexcept {
  try {
    body();
    return CHARM_OK;
  } catch (const Error& error) {
    return fail(static_cast<charm_status>(error.exit_code()), error.message());
  } catch (const Cancelled& cancelled) {
    return fail(CHARM_CANCELLED, cancelled.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(CHARM_IO, error.path1().string() + ": " + error.code().message());
  } catch (const std::bad_alloc&) {
    return fail(CHARM_RESOURCE, "memory ran out; try a smaller budget_tokens or max_tokens");
  } catch (const std::exception& error) {
    return fail(CHARM_INTERNAL, std::string("unexpected: ") + error.what());
  }
}

std::vector<std::string> texts(const char* const* items, std::size_t count) {
  return {items, items + count};
}

/// Assigns "--name=value" texts to the options of scoring.
void assign_options(const std::vector<std::string>& given, score::ScoreStageOptions& options,
                    bool& offline) {
  OptionTable table;
  score::describe_settings(table, options);
  table.integer("threads", options.model.threads, "N", "").at_least(0);
  table.flag("offline", offline, "");
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    const Option* option = text.starts_with("--") && equals != std::string::npos
                               ? table.find(text.substr(2, equals - 2))
                               : nullptr;
    if (option == nullptr)
      throw Error(ErrorKind::kUsage, "unknown option of a reward model: {}", text);
    try {
      option->assign({text.substr(equals + 1)});
    } catch (const Error& error) {
      throw error.with_context("--" + option->name);
    }
  }
}

std::unique_ptr<charm_reward_model> load(const char* path, const std::vector<std::string>& given,
                                         const ProgressFn& progress) {
  log::set_level(log::Level::kWarning);
  auto loaded = std::make_unique<charm_reward_model>();
  score::ScoreStageOptions& options = loaded->options;
  options.model_dir = path;
  bool offline = false;
  assign_options(given, options, offline);
  options.scorer.threads = options.model.threads;
  pipeline::fetch_model_source(options.model_dir, options.model.source, offline, progress);
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  loaded->model = engine::load_reward_model(source, options.model);
  loaded->encoder = std::make_unique<text::ConversationEncoder>(
      source.tokenizer_folder, score::encoder_options(options.encoder, *loaded->model, source));
  nlohmann::ordered_json facts;
  for (const auto& [name, value] : score::score_provenance(
           options, *loaded->model, *loaded->encoder, storage::hash_model(source.folders())))
    facts[name] = value;
  loaded->facts = facts.dump();
  return loaded;
}

/// Throws kInput if too many rows have no score.
void check_errors(const charm_scores& scores, std::int64_t max_bad_rows) {
  std::int64_t num_errors = 0;
  const std::string* first = nullptr;
  for (const std::string& error : scores.errors) {
    if (error.empty()) continue;
    if (num_errors++ == 0) first = &error;
  }
  if (num_errors <= max_bad_rows) return;
  throw Error(ErrorKind::kInput, "{} of {} rows have no score, first: {}; expected at most {}",
              num_errors, scores.errors.size(), *first, max_bad_rows);
}

std::unique_ptr<charm_scores> score_rows(charm_reward_model& model, std::vector<ResponseRow> rows,
                                         std::int64_t max_bad_rows, const ProgressFn& progress) {
  auto scores = std::make_unique<charm_scores>();
  scores->values.assign(rows.size(), std::numeric_limits<float>::quiet_NaN());
  scores->num_tokens.resize(rows.size());
  scores->truncated.resize(rows.size());
  scores->errors.resize(rows.size());
  score::RowStore store;
  std::vector<std::size_t> places;  // of the store's rows
  for (std::size_t r = 0; r < rows.size(); ++r) {
    scores->errors[r] = std::move(rows[r].problem);
    if (!rows[r].response) continue;
    places.push_back(r);
    store.add(*std::move(rows[r].response));
  }
  check_errors(*scores, max_bad_rows);
  const std::vector<score::RowScore> results =
      score::score_rows(*model.model, *model.encoder, store, store.all_rows(), model.options.scorer,
                        /*on_scored=*/{}, progress);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const score::RowScore& result = results[i];
    const std::size_t r = places[i];
    if (result.error) {
      scores->errors[r] = fmt::format("row {}: {}", r + 1, *result.error);
      continue;
    }
    scores->values[r] = result.score;
    scores->num_tokens[r] = result.num_tokens;
    scores->truncated[r] = result.truncated ? 1 : 0;
  }
  check_errors(*scores, max_bad_rows);
  return scores;
}

void score_source(charm_reward_model* model, std::unique_ptr<storage::RowSource> source,
                  std::int64_t max_bad_rows, const ProgressFn& progress, charm_scores** out) {
  const std::lock_guard lock(model->mutex);
  *out = score_rows(*model, storage::read_response_rows(std::move(source), "rows"), max_bad_rows,
                    progress)
             .release();
}

}  // namespace
}  // namespace charm::capi

using charm::capi::guarded;
using charm::capi::progress_fn;

const char* charm_version() { return charm::kVersion; }
int charm_capi_version() { return CHARM_CAPI_VERSION; }
const char* charm_last_error() { return charm::capi::last_error.c_str(); }

void charm_set_warning(charm_warning warning, void* context) {
  if (warning == nullptr) return charm::log::set_sink({});
  charm::log::set_sink([warning, context](charm::log::Level, std::string_view message) {
    warning(context, std::string(message).c_str());
  });
}

charm_status charm_run(const char* const* arguments, size_t num_arguments, charm_progress progress,
                       void* context) {
  return guarded([&] {
    charm::cli::run_quietly(charm::capi::texts(arguments, num_arguments),
                            progress_fn(progress, context));
  });
}

charm_status charm_reward_model_load(const char* model, const char* const* options,
                                     size_t num_options, charm_progress progress, void* context,
                                     charm_reward_model** out) {
  return guarded([&] {
    *out = charm::capi::load(model, charm::capi::texts(options, num_options),
                             progress_fn(progress, context))
               .release();
  });
}

void charm_reward_model_free(charm_reward_model* model) { delete model; }

const char* charm_reward_model_facts(const charm_reward_model* model) {
  return model->facts.c_str();
}

charm_status charm_reward_model_score_json(charm_reward_model* model, const char* rows,
                                           size_t num_bytes, int64_t max_bad_rows,
                                           charm_progress progress, void* context,
                                           charm_scores** out) {
  return guarded([&] {
    charm::capi::score_source(model,
                              charm::storage::open_json_text(std::string(rows, num_bytes), "rows"),
                              max_bad_rows, progress_fn(progress, context), out);
  });
}

charm_status charm_reward_model_score_arrow(charm_reward_model* model, ArrowArrayStream* rows,
                                            int64_t max_bad_rows, charm_progress progress,
                                            void* context, charm_scores** out) {
  return guarded([&] {
    charm::capi::score_source(model, charm::storage::open_arrow_stream(*rows, "rows"), max_bad_rows,
                              progress_fn(progress, context), out);
  });
}

size_t charm_scores_size(const charm_scores* scores) { return scores->values.size(); }
const float* charm_scores_values(const charm_scores* scores) { return scores->values.data(); }
const int32_t* charm_scores_num_tokens(const charm_scores* scores) {
  return scores->num_tokens.data();
}
const uint8_t* charm_scores_truncated(const charm_scores* scores) {
  return scores->truncated.data();
}
const char* charm_scores_error(const charm_scores* scores, size_t row) {
  const std::string& error = scores->errors[row];
  return error.empty() ? nullptr : error.c_str();
}
void charm_scores_free(charm_scores* scores) { delete scores; }
