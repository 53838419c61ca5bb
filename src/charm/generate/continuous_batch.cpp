#include "charm/generate/continuous_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/parallel.h"
#include "charm/generate/block_pool.h"

namespace charm::generate {
namespace {

/// Tokens on their way into the cache, and the sequences that will go on from there. A prompt with
/// its samples, or one sequence that had to give up its blocks.
struct Filling {
  std::vector<std::int32_t> ids = {};
  std::int64_t prompt_length = 0;
  std::vector<std::size_t> sequences = {};  ///< not yet begun
  std::int64_t num_cached = 0;
  std::vector<std::int32_t> blocks = {};
  std::vector<float> logits_V = {};  ///< behind the last of `ids`, once they are all in the cache

  std::int64_t length() const { return static_cast<std::int64_t>(ids.size()); }
  bool is_filled() const { return num_cached == length(); }
};

/// A sequence that gets a token in every pass. All its tokens but the last are in the cache.
struct Running {
  std::size_t sequence = 0;
  std::vector<std::int32_t> ids = {};
  std::int64_t prompt_length = 0;
  std::vector<std::int32_t> blocks = {};
  std::optional<std::int32_t> token = {};  ///< the next one, while it is being chosen
};

class ContinuousBatch {
 public:
  ContinuousBatch(model::CausalLM& model, const BatchOptions& options,
                  const BatchCallbacks& callbacks)
      : model_(model), options_(options), callbacks_(callbacks), pool_(model.num_blocks()) {}

  void run() {
    for (;;) {
      begin_filling();
      begin_sequences();
      make_room();
      if (running_.empty() && filling_.empty()) {
        if (waiting_.empty() && !more_prompts_) return;
        continue;
      }
      pass();
    }
  }

 private:
  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + model_.block_tokens() - 1) / model_.block_tokens();
  }

  /// What is to be filled in next; empty when there is nothing.
  std::optional<Filling> next_filling() {
    if (!waiting_.empty()) {
      Filling next = std::move(waiting_.front());
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
    return Filling{.ids = std::move(prompt->ids),
                   .prompt_length = length,
                   .sequences = std::move(prompt->sequences)};
  }

  /// Gives blocks to as many waiting tokens as the next passes can take.
  void begin_filling() {
    std::int64_t tokens = 0;
    std::int64_t sequences = std::ssize(running_);
    for (const Filling& filling : filling_) {
      tokens += filling.length() - filling.num_cached;
      sequences += std::ssize(filling.sequences);
    }
    while (tokens < options_.chunk_tokens && sequences < options_.max_sequences) {
      std::optional<Filling> next = next_filling();
      if (!next) return;
      const std::int64_t needed = blocks_for(next->length() + 1);
      if (needed > pool_.num_blocks()) {
        refuse(*next);
        continue;
      }
      // Running sequences come first: each may want a block soon.
      const bool alone = running_.empty() && filling_.empty();
      if (!alone && pool_.num_free() < needed + std::ssize(running_) / 4) {
        waiting_.push_front(std::move(*next));
        return;
      }
      next->blocks = *pool_.take(blocks_for(next->length()));
      tokens += next->length();
      sequences += std::ssize(next->sequences);
      filling_.push_back(std::move(*next));
    }
  }

  void refuse(const Filling& filling) {
    for (const std::size_t sequence : filling.sequences) {
      callbacks_.on_finished(
          sequence,
          fmt::format(
              "{} tokens do not fit into the cache of {} ({:.1f} MiB): give more to --cache-memory",
              filling.length() + 1, pool_.num_blocks() * model_.block_tokens(),
              static_cast<double>(pool_.num_blocks() * model_.block_bytes()) / (1 << 20)));
    }
  }

  /// Begins sequences whose prompt is filled in.
  void begin_sequences() {
    for (auto at = filling_.begin(); at != filling_.end();) {
      while (at->is_filled() && !at->sequences.empty() &&
             std::ssize(running_) < options_.max_sequences && begin_sequence(*at)) {
      }
      if (at->sequences.empty()) {
        pool_.release(at->blocks);
        at = filling_.erase(at);
      } else {
        ++at;
      }
    }
  }

  /// False when there is no block for it now.
  bool begin_sequence(Filling& filling) {
    std::vector<std::int32_t> blocks;
    if (filling.sequences.size() == 1) {
      blocks = std::exchange(filling.blocks, {});
    } else {
      // Whole blocks are shared; the last one, which is written to, is copied.
      const bool partial = filling.length() % model_.block_tokens() != 0;
      std::optional<std::int32_t> last;
      if (partial && !(last = pool_.take())) {
        if (running_.empty()) split(filling);
        return running_.empty() && begin_sequence(filling);
      }
      blocks = filling.blocks;
      if (partial) {
        model_.copy_block(blocks.back(), *last);
        blocks.pop_back();
      }
      for (const std::int32_t block : blocks) pool_.share(block);
      if (partial) blocks.push_back(*last);
    }
    running_.push_back({.sequence = filling.sequences.front(),
                        .ids = filling.ids,
                        .prompt_length = filling.prompt_length,
                        .blocks = std::move(blocks)});
    filling.sequences.erase(filling.sequences.begin());
    running_.back().token = callbacks_.next_token(running_.back().sequence, filling.logits_V);
    take_token(std::prev(running_.end()));
    return true;
  }

  /// The cache has no place for a second sample: the others are filled in again later.
  void split(Filling& filling) {
    Filling others{.ids = filling.ids, .prompt_length = filling.prompt_length};
    others.sequences.assign(filling.sequences.begin() + 1, filling.sequences.end());
    filling.sequences.resize(1);
    waiting_.push_front(std::move(others));
  }

  /// Appends the chosen token, or finishes the sequence.
  void take_token(std::list<Running>::iterator at) {
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

  /// Gives every running sequence a block for its next token, taking from those begun last where
  /// the cache is full.
  void make_room() {
    for (auto at = running_.begin(); at != running_.end();) {
      if (blocks_for(std::ssize(at->ids)) <= std::ssize(at->blocks)) {
        ++at;
        continue;
      }
      if (const auto block = pool_.take()) {
        at->blocks.push_back(*block);
        ++at;
        continue;
      }
      if (give_up_filling()) continue;
      const auto last = std::prev(running_.end());
      if (last == at && running_.size() == 1) {
        finish(at,
               fmt::format(
                   "after {} tokens the cache is full ({:.1f} MiB): give more to --cache-memory",
                   at->ids.size(),
                   static_cast<double>(pool_.num_blocks() * model_.block_bytes()) / (1 << 20)));
        return;
      }
      const bool itself = last == at;
      put_back(last);
      if (itself) return;
    }
  }

  /// Takes the blocks of the prompt that came last; false when no prompt has any.
  bool give_up_filling() {
    if (filling_.empty()) return false;
    Filling filling = std::move(filling_.back());
    filling_.pop_back();
    pool_.release(filling.blocks);
    filling.num_cached = 0;
    filling.logits_V.clear();
    waiting_.push_front(std::move(filling));
    return true;
  }

  void put_back(std::list<Running>::iterator at) {
    pool_.release(at->blocks);
    waiting_.push_front({.ids = std::move(at->ids),
                         .prompt_length = at->prompt_length,
                         .sequences = {at->sequence}});
    running_.erase(at);
  }

  /// One pass of the model: a token of every running sequence, and chunks of what is being filled
  /// in.
  void pass() {
    batch::CachedBatch batch;
    for (const Running& running : running_) {
      batch.sequences.push_back({.ids = {running.ids.back()},
                                 .first_position = std::ssize(running.ids) - 1,
                                 .prompt_length = running.prompt_length,
                                 .blocks = running.blocks});
    }
    std::int64_t left =
        std::max(options_.chunk_tokens - std::ssize(running_), options_.chunk_tokens / 4);
    std::vector<Filling*> filled;
    for (Filling& filling : filling_) {
      const std::int64_t count = std::min(left, filling.length() - filling.num_cached);
      if (count <= 0) continue;
      left -= count;
      const auto first = filling.ids.begin() + filling.num_cached;
      batch.sequences.push_back({.ids = {first, first + count},
                                 .first_position = filling.num_cached,
                                 .prompt_length = filling.prompt_length,
                                 .blocks = filling.blocks,
                                 .wants_logits = filling.num_cached + count == filling.length()});
      filling.num_cached += count;
      if (filling.is_filled()) filled.push_back(&filling);
    }
    if (batch.sequences.empty()) return;  // only filled prompts that wait for a place
    choose_tokens(model_.step(batch), filled);
  }

  void choose_tokens(std::span<const float> logits_SV, const std::vector<Filling*>& filled) {
    const auto vocab = static_cast<std::size_t>(model_.vocab_size());
    std::vector<Running*> running;
    for (Running& one : running_) running.push_back(&one);
    CHARM_CHECK(logits_SV.size() == (running.size() + filled.size()) * vocab,
                "{} logits for {} sequences", logits_SV.size(), running.size() + filled.size());
    const std::size_t threads = running.size() < 4 ? 1 : options_.num_threads;
    parallel_for(running.size(), threads, [&](std::size_t i) {
      running[i]->token =
          callbacks_.next_token(running[i]->sequence, logits_SV.subspan(i * vocab, vocab));
    });
    for (std::size_t i = 0; i < filled.size(); ++i) {
      const auto logits = logits_SV.subspan((running.size() + i) * vocab, vocab);
      filled[i]->logits_V.assign(logits.begin(), logits.end());
    }
    for (auto at = running_.begin(); at != running_.end();) take_token(at++);
  }

  model::CausalLM& model_;
  const BatchOptions& options_;
  const BatchCallbacks& callbacks_;
  BlockPool pool_;
  bool more_prompts_ = true;
  std::deque<Filling> waiting_;  ///< gave up their blocks; before any new prompt
  std::list<Filling> filling_;
  std::list<Running> running_;  ///< in the order in which they began
};

}  // namespace

void run_continuous_batch(model::CausalLM& model, const BatchOptions& options,
                          const BatchCallbacks& callbacks) {
  ContinuousBatch(model, options, callbacks).run();
}

}  // namespace charm::generate
