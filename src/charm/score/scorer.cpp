#include "charm/score/scorer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/batch/pooled_row.h"
#include "charm/batch/token_batch.h"

namespace charm::score {
namespace {

/// Rows of one prompt, in order of the prompts' first rows.
std::vector<std::vector<std::size_t>> rows_by_prompt(std::span<const Response> rows) {
  std::vector<std::vector<std::size_t>> groups;
  std::unordered_map<std::string, std::size_t> group_of_prompt;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto [entry, is_new] =
        group_of_prompt.try_emplace(conversation_json(rows[r].prompt), groups.size());
    if (is_new) groups.emplace_back();
    groups[entry->second].push_back(r);
  }
  return groups;
}

/// State of one call of `score_responses`.
class Scoring {
 public:
  Scoring(model::RewardModel& model, const text::ConversationEncoder& encoder,
          std::span<const Response> rows, const ScorerOptions& options, const ScoredFn& on_scored,
          const ProgressFn& progress)
      : model_(model),
        encoder_(encoder),
        rows_(rows),
        options_(options),
        budget_tokens_(options.budget_tokens > 0 ? options.budget_tokens : model.budget_tokens()),
        on_scored_(on_scored),
        progress_(progress) {
    results_.reserve(rows.size());
    for (const Response& row : rows)
      results_.push_back({.response = row, .score = 0.0f, .error = std::nullopt});
  }

  /// Encodes and queues the rows of one prompt; scores the queue when the token budget is reached.
  void add_prompt(const std::vector<std::size_t>& group) {
    const Conversation& prompt = rows_[group.front()].prompt;
    const std::vector<std::int32_t> prompt_ids = encoder_.prompt_ids(prompt);
    std::vector<text::EncodedRow> encoded;
    for (const std::size_t r : group)
      encoded.push_back(encoder_.encode_row(prompt, prompt_ids, rows_[r].message()));
    std::vector<std::pair<std::size_t, batch::PooledRow>> pooled;
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (auto row = pooled_row(group[i], std::move(encoded[i])))
        pooled.emplace_back(group[i], std::move(*row));
    }
    for (batch::PromptGroup& tokens : batch::group_by_prompt(std::move(pooled))) {
      if (queued_tokens_ > 0 && queued_tokens_ + tokens.num_tokens() > budget_tokens_)
        score_queue();
      queued_tokens_ += tokens.num_tokens();
      queue_.push_back(std::move(tokens));
    }
  }

  void score_queue() {
    for (const auto& groups : batch::plan_batches(std::exchange(queue_, {}), budget_tokens_)) {
      const batch::PackedBatch packed = batch::pack(groups);
      in_flight_.push_back({packed.rows, packed.num_tokens(), model_.start(packed)});
      while (static_cast<int>(in_flight_.size()) >= model_.batches_in_flight()) finish_oldest();
    }
    queued_tokens_ = 0;
  }

  void finish_all() {
    while (!in_flight_.empty()) finish_oldest();
  }

  std::vector<ScoredResponse> take_results() { return std::move(results_); }

  void warn() const {
    if (num_without_response_ == 0) return;
    log::warning(
        "{} of {} rows are truncated before their response begins, so only the prompt is scored; "
        "--truncation left keeps the responses",
        num_without_response_, rows_.size());
  }

 private:
  /// The row's tokens up to the pooled one; if it cannot be scored empty, and the row gets an
  /// error.
  std::optional<batch::PooledRow> pooled_row(std::size_t r, text::EncodedRow encoded) {
    ScoredResponse& result = results_[r];
    try {
      if (encoded.error) throw Error(ErrorKind::kInput, "{}", *encoded.error);
      result.num_tokens = static_cast<std::int32_t>(encoded.tokens.ids.size());
      result.truncated = encoded.tokens.truncated;
      // Truncated from the right, leaving only prompt tokens except for the last.
      const bool is_prompt =
          encoded.tokens.prompt_length + 1 >= static_cast<std::int64_t>(encoded.tokens.ids.size());
      const bool from_right = encoder_.options().truncation == text::Truncation::kRight;
      num_without_response_ += encoded.tokens.truncated && from_right && is_prompt ? 1 : 0;
      for (const std::int32_t id : encoded.tokens.ids) {
        if (id < 0 || id >= model_.vocab_size()) {
          throw Error(ErrorKind::kInput,
                      "token id {} is out of range for the model's vocabulary of {}", id,
                      model_.vocab_size());
        }
      }
      const std::int32_t pad = options_.pooling == Pooling::kAuto ? model_.pad_token_id() : -1;
      return batch::make_pooled_row(std::move(encoded.tokens.ids), encoded.tokens.prompt_length,
                                    pad, gate_tokens_);
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
      std::vector<ScoredResponse> finished;
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
    model::RewardModel::PendingScores scores;
  };

  model::RewardModel& model_;
  const text::ConversationEncoder& encoder_;
  std::span<const Response> rows_;
  const ScorerOptions& options_;
  const std::int64_t budget_tokens_;
  const ScoredFn& on_scored_;
  const ProgressFn& progress_;

  const std::vector<std::int32_t> gate_tokens_ = model_.gate_tokens();
  std::vector<ScoredResponse> results_;
  std::vector<batch::PromptGroup> queue_;
  std::deque<InFlightBatch> in_flight_;
  std::int64_t queued_tokens_ = 0;
  std::int64_t computed_tokens_ = 0;
  std::int64_t num_finished_ = 0;
  std::int64_t num_without_response_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::vector<ScoredResponse> score_responses(model::RewardModel& model,
                                            const text::ConversationEncoder& encoder,
                                            std::span<const Response> rows,
                                            const ScorerOptions& options, const ScoredFn& on_scored,
                                            const ProgressFn& progress) {
  if (options.budget_tokens < 0)
    throw Error(ErrorKind::kUsage, "--budget-tokens {}: expected 0 or more", options.budget_tokens);
  Scoring scoring(model, encoder, rows, options, on_scored, progress);
  for (const auto& group : rows_by_prompt(rows)) scoring.add_prompt(group);
  scoring.score_queue();
  scoring.finish_all();
  scoring.warn();
  return scoring.take_results();
}

}  // namespace charm::score
