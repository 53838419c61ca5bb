#include "charm/serve/score_queue.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <iterator>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/model_config.h"

namespace charm::serve {
namespace {

/// Conversations are encoded ahead until they fill this many batches: room to find shared prompts.
constexpr std::int64_t kBatchesAhead = 16;
/// Conversations per thread that are taken at a time.
constexpr std::size_t kTakenPerThread = 16;

std::int64_t num_tokens(const engine::PooledRow& row) {
  return static_cast<std::int64_t>(row.ids.size());
}

}  // namespace

ScoreQueue::ScoreQueue(engine::RewardModel& model, const text::ConversationEncoder& encoder,
                       const QueueOptions& options, Metrics& metrics)
    : model_(model),
      encoder_(encoder),
      options_(options),
      metrics_(metrics),
      num_threads_(options.scorer.threads > 0 ? static_cast<std::size_t>(options.scorer.threads)
                                              : available_processors()),
      budget_tokens_(options.scorer.budget_tokens > 0 ? options.scorer.budget_tokens
                                                      : model.budget_tokens()),
      gate_tokens_(model.config().gate_tokens),
      worker_([this] { work(); }) {}

ScoreQueue::~ScoreQueue() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

bool ScoreQueue::submit(std::vector<ScoreInput> inputs,
                        std::shared_ptr<const std::atomic<bool>> abandoned, Done done) {
  auto request = std::make_shared<Request>();
  const std::size_t count = inputs.size();
  request->inputs = std::move(inputs);
  request->results.resize(count);
  request->num_unfinished = count;
  request->abandoned = std::move(abandoned);
  request->done = std::move(done);
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t waiting = num_waiting_;
    if (waiting > 0 && waiting + static_cast<std::int64_t>(count) > options_.max_waiting)
      return false;
    num_waiting_ += static_cast<std::int64_t>(count);
    for (std::size_t i = 0; i < count; ++i) waiting_.push_back({.request = request, .index = i});
  }
  changed_.notify_one();
  return true;
}

std::int64_t ScoreQueue::num_waiting() const { return num_waiting_; }

std::int64_t ScoreQueue::retry_after_s() const {
  const double rate = metrics_.rows_per_second();
  if (rate <= 0.0) return 1;
  return std::clamp<std::int64_t>(std::llround(static_cast<double>(num_waiting()) / rate / 2.0), 1,
                                  60);
}

void ScoreQueue::work() {
  std::vector<Item> items;
  while (take(items)) {
    encode(std::exchange(items, {}));
    while (encoded_tokens_ < budget_tokens_ && has_waiting() && take(items))
      encode(std::exchange(items, {}));
    std::erase_if(encoded_, [this](Item& item) {
      const auto tokens = num_tokens(item.row);
      if (!drop_if_abandoned(item)) return false;
      encoded_tokens_ -= tokens;
      return true;
    });
    score_next();
  }
}

bool ScoreQueue::take(std::vector<Item>& items) {
  std::unique_lock lock(mutex_);
  if (encoded_.empty()) changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
  if (encoded_tokens_ >= kBatchesAhead * budget_tokens_) return true;
  const std::size_t count = std::min(waiting_.size(), kTakenPerThread * num_threads_);
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  std::move(waiting_.begin(), end, std::back_inserter(items));
  waiting_.erase(waiting_.begin(), end);
  return !items.empty() || !encoded_.empty();
}

bool ScoreQueue::has_waiting() const {
  const std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

void ScoreQueue::encode(std::vector<Item> items) {
  std::erase_if(items, [this](Item& item) { return drop_if_abandoned(item); });
  std::vector<std::uint8_t> has_row(items.size(), 0);
  parallel_for(items.size(), num_threads_,
               [&](std::size_t i) { has_row[i] = encode_one(items[i]) ? 1 : 0; });
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (has_row[i] == 0) {
      num_waiting_ -= 1;
      finish(items[i]);
      continue;
    }
    encoded_tokens_ += num_tokens(items[i].row);
    encoded_.push_back(std::move(items[i]));
  }
}

bool ScoreQueue::encode_one(Item& item) {
  const ScoreInput& input = item.request->inputs[item.index];
  ScoreResult& result = item.request->results[item.index];
  try {
    const auto* exchange = std::get_if<Exchange>(&input);
    text::EncodedRow encoded =
        exchange == nullptr
            ? encoder_.encode_rendered(std::get<std::string>(input))
            : encoder_.encode_row(exchange->prompt, encoder_.prompt_ids(exchange->prompt),
                                  exchange->response);
    if (encoded.error) throw Error(ErrorKind::kInput, "{}", *encoded.error);
    result.row.num_tokens = static_cast<std::int32_t>(encoded.tokens.ids.size());
    result.row.truncated = encoded.tokens.truncated;
    item.row =
        score::pool_row(std::move(encoded.tokens), model_, options_.scorer.pooling, gate_tokens_);
    return true;
  } catch (const Error& error) {
    result.row.error = error.message();
    result.server_fault = error.kind() != ErrorKind::kInput;
  } catch (const std::exception& error) {
    result.row.error = error.what();
    result.server_fault = true;
  }
  return false;
}

bool ScoreQueue::drop_if_abandoned(Item& item) {
  if (!*item.request->abandoned) return false;
  num_waiting_ -= 1;
  metrics_.rows_dropped(1);
  item.request->results[item.index].row.error = "the client left";
  finish(item);
  return true;
}

/// Scores the batch that begins with the oldest conversation.
void ScoreQueue::score_next() {
  if (encoded_.empty()) return;
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  for (std::size_t i = 0; i < encoded_.size(); ++i) rows.emplace_back(i, encoded_[i].row);
  const std::vector<std::vector<engine::PromptGroup>> batches = engine::plan_batches(
      engine::group_by_prompt(std::move(rows), engine::shares_prompts(model_.config())),
      budget_tokens_);
  // A group larger than the budget stays together: the model keeps its prompt's keys and values.
  std::size_t num_batches = 1;
  while (batches[num_batches - 1].back().continues) ++num_batches;

  std::vector<Item> items(encoded_.size());
  for (std::size_t b = 0; b < num_batches; ++b) {
    for (const engine::PromptGroup& group : batches[b]) {
      for (const std::size_t r : group.rows) items[r] = std::move(encoded_[r]);
    }
  }
  for (const Item& item : items) {
    if (!item.request) continue;
    encoded_tokens_ -= num_tokens(item.row);
    num_waiting_ -= 1;
  }
  std::erase_if(encoded_, [](const Item& item) { return !item.request; });
  for (std::size_t b = 0; b < num_batches; ++b) score_batch(batches[b], items);
}

/// `items`: by row number of the groups.
void ScoreQueue::score_batch(const std::vector<engine::PromptGroup>& groups,
                             std::vector<Item>& items) {
  const engine::PackedBatch packed = engine::pack(groups);
  try {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<float> scores = model_.score(packed);
    metrics_.batch_done(
        static_cast<std::int64_t>(scores.size()), packed.num_tokens(),
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    for (std::size_t s = 0; s < scores.size(); ++s) {
      const Item& item = items[packed.rows[s]];
      item.request->results[item.index].row.score = scores[s];
      finish(item);
    }
  } catch (const std::exception& error) {
    const auto* own = dynamic_cast<const Error*>(&error);
    const bool is_input = own != nullptr && own->kind() == ErrorKind::kInput;
    if (packed.rows.size() == 1 || !is_input) {
      log::warning("a batch of {} conversations failed: {}", packed.rows.size(), error.what());
      for (const std::size_t r : packed.rows) {
        ScoreResult& result = items[r].request->results[items[r].index];
        result.row.error = error.what();
        result.server_fault = !is_input;
        finish(items[r]);
      }
      return;
    }
    // One of them has a score that is not finite; the others get theirs.
    for (const std::size_t r : packed.rows) {
      std::vector<std::pair<std::size_t, engine::PooledRow>> alone;
      alone.emplace_back(r, items[r].row);
      score_batch(engine::group_by_prompt(std::move(alone)), items);
    }
  }
}

void ScoreQueue::finish(const Item& item) {
  Request& request = *item.request;
  if (--request.num_unfinished > 0) return;
  const auto num_errors =
      std::count_if(request.results.begin(), request.results.end(),
                    [](const ScoreResult& result) { return result.row.error.has_value(); });
  if (!*request.abandoned) metrics_.rows_done(std::ssize(request.results) - num_errors, num_errors);
  request.done(std::move(request.results));
}

}  // namespace charm::serve
