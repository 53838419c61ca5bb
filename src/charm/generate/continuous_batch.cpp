#include "charm/generate/continuous_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/parallel.h"
#include "charm/engine/model_config.h"
#include "charm/generate/block_pool.h"

namespace charm::generate {
namespace {

/// Tokens to prefill and the sequences to decode from them: a prompt with its samples, or one
/// preempted sequence.
struct Prefill {
  std::vector<std::int32_t> ids = {};
  std::int64_t prompt_length = 0;
  std::vector<std::size_t> sequences = {};  ///< not yet running
  std::int64_t num_cached = 0;
  std::vector<std::int32_t> blocks = {};
  std::vector<float> logits_V = {};  ///< after the last of `ids`, once all are cached

  std::int64_t length() const { return static_cast<std::int64_t>(ids.size()); }
  bool is_finished() const { return num_cached == length(); }
};

/// A sequence that decodes one token per step. All its tokens but the last are cached.
struct Running {
  std::size_t sequence = 0;
  std::vector<std::int32_t> ids = {};
  std::int64_t prompt_length = 0;
  std::vector<std::int32_t> blocks = {};
  std::optional<std::int32_t> token = {};  ///< the sampled next one
};

class ContinuousBatch {
 public:
  ContinuousBatch(engine::CausalLM& model, const BatchOptions& options,
                  const BatchCallbacks& callbacks)
      : model_(model), options_(options), callbacks_(callbacks), pool_(model.num_blocks()) {}

  void run() {
    for (;;) {
      schedule_prefills();
      start_sequences();
      requeue_outgrown();
      allocate_blocks();
      if (running_.empty() && prefills_.empty()) {
        if (waiting_.empty() && !more_prompts_) return;
        continue;
      }
      step();
    }
  }

 private:
  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + model_.block_tokens() - 1) / model_.block_tokens();
  }

  /// The next prefill: preempted sequences first, then new prompts; empty if there is none.
  std::optional<Prefill> next_prefill() {
    if (!waiting_.empty()) {
      Prefill next = std::move(waiting_.front());
      waiting_.pop_front();
      return next;
    }
    if (!more_prompts_) return std::nullopt;
    std::optional<TokenPrompt> prompt = callbacks_.next_prompt();
    if (!prompt) {
      more_prompts_ = false;
      return std::nullopt;
    }
    const auto length = static_cast<std::int64_t>(prompt->ids.size());
    return Prefill{.ids = std::move(prompt->ids),
                   .prompt_length = length,
                   .sequences = std::move(prompt->sequences)};
  }

  /// Allocates blocks for waiting prefills, up to the token budget of a step.
  void schedule_prefills() {
    std::int64_t tokens = 0;
    std::int64_t sequences = std::ssize(running_);
    for (const Prefill& prefill : prefills_) {
      tokens += prefill.length() - prefill.num_cached;
      sequences += std::ssize(prefill.sequences);
    }
    while (tokens < options_.chunk_tokens && sequences < options_.max_sequences) {
      std::optional<Prefill> next = next_prefill();
      if (!next) return;
      const std::int64_t needed = blocks_for(next->length() + 1);
      if (needed > pool_.num_blocks()) {
        reject(*next);
        continue;
      }
      // Reserve blocks for running sequences, each of which may need one soon.
      const bool alone = running_.empty() && prefills_.empty();
      if (!alone && pool_.num_free() < needed + std::ssize(running_) / 4) {
        waiting_.push_front(std::move(*next));
        return;
      }
      next->blocks = *pool_.allocate(blocks_for(next->length()));
      tokens += next->length();
      sequences += std::ssize(next->sequences);
      prefills_.push_back(std::move(*next));
    }
  }

  void reject(const Prefill& prefill) {
    for (const std::size_t sequence : prefill.sequences) {
      callbacks_.on_finished(
          sequence,
          fmt::format(
              "{} tokens do not fit into the KV cache of {} ({:.1f} MiB): increase --cache-memory",
              prefill.length() + 1, pool_.num_blocks() * model_.block_tokens(),
              static_cast<double>(pool_.num_blocks() * model_.block_bytes()) / (1 << 20)));
    }
  }

  /// Starts the sequences of finished prefills.
  void start_sequences() {
    for (auto at = prefills_.begin(); at != prefills_.end();) {
      while (at->is_finished() && !at->sequences.empty() &&
             std::ssize(running_) < options_.max_sequences && start_sequence(*at)) {
      }
      if (at->sequences.empty()) {
        pool_.release(at->blocks);
        at = prefills_.erase(at);
      } else {
        ++at;
      }
    }
  }

  /// False if there is no free block for it now.
  bool start_sequence(Prefill& prefill) {
    std::vector<std::int32_t> blocks;
    if (prefill.sequences.size() == 1) {
      blocks = std::exchange(prefill.blocks, {});
    } else {
      // Full blocks are shared; a partial last block is copied, since it is written to.
      const bool partial = prefill.length() % model_.block_tokens() != 0;
      const std::optional<std::int32_t> last = partial ? pool_.allocate() : std::nullopt;
      if (partial && !last) {
        if (running_.empty()) split_samples(prefill);
        return running_.empty() && start_sequence(prefill);
      }
      blocks = prefill.blocks;
      if (partial) {
        model_.copy_block(blocks.back(), *last);
        blocks.pop_back();
      }
      for (const std::int32_t block : blocks) pool_.share(block);
      if (partial) blocks.push_back(*last);
    }
    running_.push_back({.sequence = prefill.sequences.front(),
                        .ids = prefill.ids,
                        .prompt_length = prefill.prompt_length,
                        .blocks = std::move(blocks)});
    prefill.sequences.erase(prefill.sequences.begin());
    running_.back().token = callbacks_.next_token(running_.back().sequence, prefill.logits_V);
    append_token(std::prev(running_.end()));
    return true;
  }

  /// The cache cannot hold a second sample: the others are prefilled again later.
  void split_samples(Prefill& prefill) {
    Prefill others{.ids = prefill.ids, .prompt_length = prefill.prompt_length};
    others.sequences.assign(prefill.sequences.begin() + 1, prefill.sequences.end());
    prefill.sequences.resize(1);
    waiting_.push_front(std::move(others));
  }

  /// Appends the sampled token, or finishes the sequence.
  void append_token(std::list<Running>::iterator at) {
    if (at->token) {
      at->ids.push_back(*at->token);
      return;
    }
    finish(at, std::nullopt);
  }

  void finish(std::list<Running>::iterator at, const std::optional<std::string>& error) {
    pool_.release(at->blocks);
    callbacks_.on_finished(at->sequence, error);
    running_.erase(at);
  }

  /// Requeues the sequences whose cached keys have become those of a shorter sequence.
  void requeue_outgrown() {
    const std::int64_t length = engine::recompute_length(model_.config());
    for (auto at = running_.begin(); at != running_.end();) {
      const auto next = std::next(at);
      if (at->prompt_length < length && std::ssize(at->ids) >= length) {
        at->prompt_length = std::ssize(at->ids);
        preempt(at);
      }
      at = next;
    }
  }

  /// Allocates a block for the next token of every running sequence, preempting the most recent
  /// ones if the cache is full.
  void allocate_blocks() {
    for (auto at = running_.begin(); at != running_.end();) {
      if (blocks_for(std::ssize(at->ids)) <= std::ssize(at->blocks)) {
        ++at;
        continue;
      }
      if (const auto block = pool_.allocate()) {
        at->blocks.push_back(*block);
        ++at;
        continue;
      }
      if (preempt_prefill()) continue;
      const auto last = std::prev(running_.end());
      if (last == at && running_.size() == 1) {
        finish(at, fmt::format(
                       "the KV cache is full after {} tokens ({:.1f} MiB): increase --cache-memory",
                       at->ids.size(),
                       static_cast<double>(pool_.num_blocks() * model_.block_bytes()) / (1 << 20)));
        return;
      }
      const bool itself = last == at;
      preempt(last);
      if (itself) return;
    }
  }

  /// Preempts the most recent prefill; false if there is none.
  bool preempt_prefill() {
    if (prefills_.empty()) return false;
    Prefill prefill = std::move(prefills_.back());
    prefills_.pop_back();
    pool_.release(prefill.blocks);
    prefill.num_cached = 0;
    prefill.logits_V.clear();
    waiting_.push_front(std::move(prefill));
    return true;
  }

  /// Releases the blocks of a running sequence and requeues it.
  void preempt(std::list<Running>::iterator at) {
    pool_.release(at->blocks);
    waiting_.push_front({.ids = std::move(at->ids),
                         .prompt_length = at->prompt_length,
                         .sequences = {at->sequence}});
    running_.erase(at);
  }

  /// One step of the model: decodes a token of every running sequence and prefills chunks.
  void step() {
    engine::CachedBatch batch;
    for (const Running& running : running_) {
      batch.sequences.push_back({.ids = {running.ids.back()},
                                 .first_position = std::ssize(running.ids) - 1,
                                 .prompt_length = running.prompt_length,
                                 .blocks = running.blocks});
    }
    std::int64_t budget =
        std::max(options_.chunk_tokens - std::ssize(running_), options_.chunk_tokens / 4);
    std::vector<Prefill*> finished;
    for (Prefill& prefill : prefills_) {
      const std::int64_t count = std::min(budget, prefill.length() - prefill.num_cached);
      if (count <= 0) continue;
      budget -= count;
      const auto first = prefill.ids.begin() + prefill.num_cached;
      batch.sequences.push_back({.ids = {first, first + count},
                                 .first_position = prefill.num_cached,
                                 .prompt_length = prefill.prompt_length,
                                 .blocks = prefill.blocks,
                                 .wants_logits = prefill.num_cached + count == prefill.length()});
      prefill.num_cached += count;
      if (prefill.is_finished()) finished.push_back(&prefill);
    }
    if (batch.sequences.empty()) return;  // only finished prefills waiting for a free slot
    sample_tokens(model_.step(batch), finished);
  }

  void sample_tokens(std::span<const float> logits_SV, const std::vector<Prefill*>& finished) {
    const auto vocab = static_cast<std::size_t>(model_.config().vocab_size);
    std::vector<Running*> running;
    for (Running& one : running_) running.push_back(&one);
    CHARM_CHECK(logits_SV.size() == (running.size() + finished.size()) * vocab,
                "{} logits for {} sequences", logits_SV.size(), running.size() + finished.size());
    const std::size_t threads = running.size() < 4 ? 1 : options_.num_threads;
    parallel_for(running.size(), threads, [&](std::size_t i) {
      running[i]->token =
          callbacks_.next_token(running[i]->sequence, logits_SV.subspan(i * vocab, vocab));
    });
    for (std::size_t i = 0; i < finished.size(); ++i) {
      const auto logits = logits_SV.subspan((running.size() + i) * vocab, vocab);
      finished[i]->logits_V.assign(logits.begin(), logits.end());
    }
    for (auto at = running_.begin(); at != running_.end();) append_token(at++);
  }

  engine::CausalLM& model_;
  const BatchOptions& options_;
  const BatchCallbacks& callbacks_;
  BlockPool pool_;
  bool more_prompts_ = true;
  std::deque<Prefill> waiting_;  ///< preempted or blocked; before any new prompt
  std::list<Prefill> prefills_;
  std::list<Running> running_;  ///< in start order
};

}  // namespace

void run_continuous_batch(engine::CausalLM& model, const BatchOptions& options,
                          const BatchCallbacks& callbacks) {
  ContinuousBatch(model, options, callbacks).run();
}

}  // namespace charm::generate
