#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"
#include "charm/records/conversation.h"
#include "charm/score/scorer.h"
#include "charm/serve/metrics.h"
#include "charm/text/conversation_encoder.h"

namespace charm::serve {

/// A conversation to score: its turns, or their text as its client rendered it.
struct Exchange {
  Conversation prompt;
  Message response;
};
using ScoreInput = std::variant<Exchange, std::string>;

struct ScoreResult {
  score::RowScore row;
  bool server_fault = false;  ///< the error is not the conversation's
};

struct QueueOptions {
  std::int64_t max_waiting = 4096;  ///< conversations
  score::ScorerOptions scorer;
};

/// Continuous batching: a worker scores the oldest waiting conversations of all requests, as many
/// as the token budget allows, and takes the next ones when they are done. Waiting conversations
/// with one prompt share its prefill, whichever requests they are from. A score does not depend on
/// what it is batched with.
/// Thread-safe.
class ScoreQueue {
 public:
  /// Called once, from the worker, with one result per conversation of the request.
  using Done = std::function<void(std::vector<ScoreResult>)>;

  /// `model`, `encoder` and `metrics` must outlive the queue; only the worker uses `model`.
  ScoreQueue(engine::RewardModel& model, const text::ConversationEncoder& encoder,
             const QueueOptions& options, Metrics& metrics);
  /// Scores what waits.
  ~ScoreQueue();
  ScoreQueue(const ScoreQueue&) = delete;
  ScoreQueue& operator=(const ScoreQueue&) = delete;

  /// Adds a request. Returns false, without calling `done`, if the queue has no room for it; an
  /// empty queue has room for any. Conversations of an `abandoned` request that the model has not
  /// begun are dropped: they get an error.
  /// @param inputs  at least one
  bool submit(std::vector<ScoreInput> inputs, std::shared_ptr<const std::atomic<bool>> abandoned,
              Done done);

  std::int64_t num_waiting() const;
  /// When a client that found the queue full may try again: about when half of it is done.
  std::int64_t retry_after_s() const;

 private:
  struct Request {
    std::vector<ScoreInput> inputs;
    std::vector<ScoreResult> results;
    std::size_t num_unfinished = 0;
    std::shared_ptr<const std::atomic<bool>> abandoned;
    Done done;
  };
  /// A conversation of a request.
  struct Item {
    std::shared_ptr<Request> request;
    std::size_t index = 0;
    engine::PooledRow row{};  ///< once encoded
  };

  void work();
  /// Moves waiting conversations to `items`. Returns false once nothing is left and the queue ends.
  bool take(std::vector<Item>& items);
  /// Whether conversations wait that are not yet encoded.
  bool has_waiting() const;
  void encode(std::vector<Item> items);
  /// Returns false if the conversation has an error.
  bool encode_one(Item& item);
  void score_next();
  void score_batch(const std::vector<engine::PromptGroup>& groups, std::vector<Item>& items);
  /// Whether the item's client left; the item is then finished.
  bool drop_if_abandoned(Item& item);
  /// The item has its result.
  void finish(const Item& item);

  engine::RewardModel& model_;
  const text::ConversationEncoder& encoder_;
  const QueueOptions options_;
  Metrics& metrics_;
  const std::size_t num_threads_;
  const std::int64_t budget_tokens_;
  const std::vector<std::int32_t> gate_tokens_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;  ///< not yet encoded
  bool ending_ = false;
  std::atomic<std::int64_t> num_waiting_{0};  ///< encoded or not, not yet computed

  // Of the worker alone.
  std::deque<Item> encoded_;
  std::int64_t encoded_tokens_ = 0;
  std::thread worker_;
};

}  // namespace charm::serve
