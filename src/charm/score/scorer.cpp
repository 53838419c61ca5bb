#include "charm/score/scorer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"

namespace charm::score {
namespace {

// Text that a thread renders and tokenises at a time: a fraction of a second's work.
constexpr std::size_t kTextBytesPerThread = std::size_t{256} << 10;

/// Positions in `rows` of one prompt's rows, in order of the prompts' first rows.
std::vector<std::vector<std::size_t>> group_by_prompt(const RowStore& store,
                                                      std::span<const std::size_t> rows) {
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::size_t> group_of_prompt(store.num_prompts(), kNone);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::size_t& group = group_of_prompt[store.prompt_index(rows[i])];
    if (group == kNone) {
      group = groups.size();
      groups.emplace_back();
    }
    groups[group].push_back(i);
  }
  return groups;
}

/// State of one call of `score_rows`.
class Scoring {
 public:
  Scoring(engine::RewardModel& model, const text::ConversationEncoder& encoder,
          const RowStore& store, std::span<const std::size_t> rows, const ScorerOptions& options,
          const ScoredFn& on_scored, const ProgressFn& progress)
      : model_(model),
        encoder_(encoder),
        store_(store),
        rows_(rows),
        options_(options),
        num_threads_(options.threads > 0 ? static_cast<std::size_t>(options.threads)
                                         : available_processors()),
        budget_tokens_(options.budget_tokens > 0 ? options.budget_tokens : model.budget_tokens()),
        on_scored_(on_scored),
        progress_(progress),
        results_(rows.size()) {}

  /// Scores the rows of all prompts: on all threads encodes some, then queues them in order.
  void run() {
    const std::vector<std::vector<std::size_t>> groups = group_by_prompt(store_, rows_);
    const std::size_t bytes_at_once = kTextBytesPerThread * num_threads_;
    for (std::size_t begin = 0; begin < groups.size();) {
      std::size_t end = begin;
      for (std::size_t bytes = 0; end < groups.size() && bytes < bytes_at_once; ++end) {
        for (const std::size_t i : groups[end]) bytes += store_[rows_[i]].response.size();
        for (const Message& message : store_.prompt(rows_[groups[end].front()]))
          bytes += message.content.size();
      }
      score_groups(std::span(groups).subspan(begin, end - begin));
      begin = end;
    }
    score_queue();
    while (!in_flight_.empty()) finish_oldest();
  }

  std::vector<RowScore> take_results() { return std::move(results_); }

  void warn() const {
    if (num_without_response_ > 0) {
      log::warning(
          "{} of {} rows are truncated before their response begins, so only the prompt is scored; "
          "--truncation left keeps the responses",
          num_without_response_, rows_.size());
    }
    warn_of_parts();
    if (encoder_.options().strip_thinking) return;
    const auto num_thinking = std::count_if(rows_.begin(), rows_.end(), [this](std::size_t row) {
      const std::string& text = store_[row].response;
      return without_thinking(text).size() < text.size();
    });
    if (num_thinking == 0) return;
    log::warning(
        "{} of {} responses begin with <think>...</think>, which is scored with the answer; "
        "--strip-thinking removes it",
        num_thinking, rows_.size());
  }

 private:
  /// Templates of text models that do more with a content than append it write the source of a list
  /// into the conversation, as transformers does.
  void warn_of_parts() const {
    const auto is_list = [](const std::string& members) {
      return members.starts_with("{\"content\":[");
    };
    const auto num_lists = std::count_if(rows_.begin(), rows_.end(), [&](std::size_t row) {
      return is_list(store_[row].members) ||
             std::ranges::any_of(store_.prompt(row), is_list, &Message::members);
    });
    if (num_lists == 0 || !encoder_.writes_source_of_parts()) return;
    log::warning(
        "{} of {} conversations have contents that are lists of parts, of which the chat template "
        "writes the source ([{{'type': 'text', ...}}]) instead of the text; store contents as "
        "texts",
        num_lists, rows_.size());
  }

  /// Encodes the rows of some prompts in parallel and queues them in order.
  void score_groups(std::span<const std::vector<std::size_t>> groups) {
    std::vector<std::vector<std::int32_t>> prompt_ids(groups.size());
    parallel_for(groups.size(), num_threads_, [&](std::size_t g) {
      prompt_ids[g] = encoder_.prompt_ids(store_.prompt(rows_[groups[g].front()]));
    });
    struct Place {
      std::size_t group = 0;
      std::size_t position = 0;
    };
    std::vector<Place> places;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (const std::size_t i : groups[g]) places.push_back({g, i});
    }
    std::vector<text::EncodedRow> encoded(places.size());
    parallel_for(places.size(), num_threads_, [&](std::size_t k) {
      const std::size_t row = rows_[places[k].position];
      encoded[k] = encoder_.encode_row(store_.prompt(row), prompt_ids[places[k].group],
                                       store_[row].message());
    });
    std::size_t k = 0;
    for (const std::vector<std::size_t>& group : groups) {
      queue_group(group, std::span(encoded).subspan(k, group.size()));
      k += group.size();
    }
  }

  /// Queues the rows of one prompt; scores the queue when the token budget is reached.
  void queue_group(const std::vector<std::size_t>& group, std::span<text::EncodedRow> encoded) {
    std::vector<std::pair<std::size_t, engine::PooledRow>> pooled;
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (auto row = pooled_row(group[i], std::move(encoded[i])))
        pooled.emplace_back(group[i], std::move(*row));
    }
    for (engine::PromptGroup& tokens :
         engine::group_by_prompt(std::move(pooled), engine::shares_prompts(model_.config()))) {
      if (queued_tokens_ > 0 && queued_tokens_ + tokens.num_tokens() > budget_tokens_)
        score_queue();
      queued_tokens_ += tokens.num_tokens();
      queue_.push_back(std::move(tokens));
    }
  }

  void score_queue() {
    for (const auto& groups : engine::plan_batches(std::exchange(queue_, {}), budget_tokens_)) {
      const engine::PackedBatch packed = engine::pack(groups);
      in_flight_.push_back({packed.rows, packed.num_tokens(), model_.start(packed)});
      while (static_cast<int>(in_flight_.size()) >= model_.batches_in_flight()) finish_oldest();
    }
    queued_tokens_ = 0;
  }

  /// The row's tokens up to the pooled one; if it cannot be scored empty, and the row gets an
  /// error.
  std::optional<engine::PooledRow> pooled_row(std::size_t r, text::EncodedRow encoded) {
    RowScore& result = results_[r];
    try {
      if (encoded.error) throw Error(ErrorKind::kInput, "{}", *encoded.error);
      result.num_tokens = static_cast<std::int32_t>(encoded.tokens.ids.size());
      result.truncated = encoded.tokens.truncated;
      // Truncated from the right, leaving only prompt tokens except for the last.
      const bool is_prompt =
          encoded.tokens.prompt_length + 1 >= static_cast<std::int64_t>(encoded.tokens.ids.size());
      const bool from_right = encoder_.options().truncation == text::Truncation::kRight;
      num_without_response_ += encoded.tokens.truncated && from_right && is_prompt ? 1 : 0;
      return pool_row(std::move(encoded.tokens), model_, options_.pooling, gate_tokens_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      result.error = error.message();
      finish({&r, 1});
      return std::nullopt;
    }
  }

  void finish_oldest() {
    const InFlightBatch batch = std::move(in_flight_.front());
    in_flight_.pop_front();
    const std::vector<float> scores = batch.scores();
    for (std::size_t s = 0; s < scores.size(); ++s) results_[batch.rows[s]].score = scores[s];
    computed_tokens_ += batch.num_tokens;
    finish(batch.rows);
  }

  void finish(std::span<const std::size_t> rows) {
    num_finished_ += static_cast<std::int64_t>(rows.size());
    if (on_scored_) {
      std::vector<RowScore> finished;
      for (const std::size_t r : rows) finished.push_back(results_[r]);
      on_scored_(rows, finished);
    }
    if (progress_) {
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
      progress_({.what = "scoring",
                 .done = num_finished_,
                 .total = static_cast<std::int64_t>(rows_.size()),
                 .unit = "rows",
                 .detail = fmt::format("{:.0f} computed tokens/s",
                                       static_cast<double>(computed_tokens_) / seconds)});
    }
  }

  /// A batch whose scores may still be computing.
  struct InFlightBatch {
    std::vector<std::size_t> rows;
    std::int64_t num_tokens = 0;
    engine::RewardModel::PendingScores scores;
  };

  engine::RewardModel& model_;
  const text::ConversationEncoder& encoder_;
  const RowStore& store_;
  std::span<const std::size_t> rows_;
  const ScorerOptions& options_;
  const std::size_t num_threads_;
  const std::int64_t budget_tokens_;
  const ScoredFn& on_scored_;
  const ProgressFn& progress_;

  const std::vector<std::int32_t> gate_tokens_ = model_.config().gate_tokens;
  std::vector<RowScore> results_;  ///< in the order of `rows_`
  std::vector<engine::PromptGroup> queue_;
  std::deque<InFlightBatch> in_flight_;
  std::int64_t queued_tokens_ = 0;
  std::int64_t computed_tokens_ = 0;
  std::int64_t num_finished_ = 0;
  std::int64_t num_without_response_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

void require_pooling(const engine::RewardModel& model, Pooling pooling) {
  if (!model.config().encoder || pooling != Pooling::kLast) return;
  throw Error(ErrorKind::kUsage, "--pooling last: a {} pools the first token; drop the option",
              model.config().architecture);
}

engine::PooledRow pool_row(text::EncodedConversation tokens, const engine::RewardModel& model,
                           Pooling pooling, std::span<const std::int32_t> gate_tokens) {
  for (const std::int32_t id : tokens.ids) {
    if (id < 0 || id >= model.config().vocab_size) {
      throw Error(ErrorKind::kInput, "token id {} is out of range for the model's vocabulary of {}",
                  id, model.config().vocab_size);
    }
  }
  const std::int32_t appended = model.config().appended_token;
  if (appended >= 0 && !tokens.ids.empty() && tokens.ids.back() != appended)
    tokens.ids.push_back(appended);
  const std::int32_t pad = pooling == Pooling::kAuto ? model.config().pad_token_id : -1;
  return engine::make_pooled_row(std::move(tokens.ids), tokens.prompt_length, pad, gate_tokens);
}

std::vector<RowScore> score_rows(engine::RewardModel& model,
                                 const text::ConversationEncoder& encoder, const RowStore& store,
                                 std::span<const std::size_t> rows, const ScorerOptions& options,
                                 const ScoredFn& on_scored, const ProgressFn& progress) {
  require_pooling(model, options.pooling);
  Scoring scoring(model, encoder, store, rows, options, on_scored, progress);
  scoring.run();
  scoring.warn();
  return scoring.take_results();
}

storage::ScoredRow scored_row(const RowStore& store, std::size_t row, const RowScore& result) {
  return {.response = &store[row],
          .prompt = &store.prompt(row),
          .score = result.score,
          .num_tokens = result.num_tokens,
          .truncated = result.truncated,
          .error = &result.error};
}

}  // namespace charm::score
