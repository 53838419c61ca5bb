#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "charm/batch/token_batch.h"
#include "charm/tensor/tensor_fwd.h"

namespace charm::model {

/// What the scorer, the evaluators and the reports see of a reward model. A fake one serves tests.
/// Scores are a function of each sequence's tokens alone, bit for bit on CPU.
/// Not safe for concurrent calls on one object.
class RewardModel {
 public:
  virtual ~RewardModel() = default;

  /// @return raw head output (float32, unbounded) of each response's last token, in the batch's
  /// packed order. Throws kInput when a score is NaN or infinite.
  virtual std::vector<float> score(const batch::PackedBatch& batch) = 0;

  /// Scores that may still be computed: call once, before the model is gone; waits for them and
  /// throws as `score` does.
  using PendingScores = std::function<std::vector<float>()>;

  /// Begins to score a batch. A GPU computes while the caller goes on; elsewhere the scores are
  /// there when this returns.
  virtual PendingScores start(const batch::PackedBatch& batch) {
    return [scores = score(batch)] { return scores; };
  }

  /// Batches that should be under way at once so that the device never waits for its host; more
  /// only cost memory.
  virtual int batches_in_flight() const { return 1; }

  /// Tokens of a batch that suit the device.
  virtual std::int64_t budget_tokens() const { return 4096; }

  /// Ids that tokens may take are 0 .. vocab_size()-1.
  virtual std::int64_t vocab_size() const = 0;
  /// Longest sequence the model was made for (config.max_position_embeddings).
  virtual std::int64_t max_positions() const = 0;
  /// Id that pooling skips at the right end (config.pad_token_id); -1 where the config names none.
  virtual std::int32_t pad_token_id() const = 0;
  /// Where these last begin, a row is split: the gating network of its head reads there
  /// (batch::make_pooled_row). Empty: no such head.
  virtual std::vector<std::int32_t> gate_tokens() const { return {}; }
  /// Short facts for the manifest: architecture, dtype, backend, weights' hash.
  virtual std::vector<std::pair<std::string, std::string>> provenance() const = 0;
};

enum class DTypeChoice { kAuto, kFloat32, kBFloat16 };
enum class DeviceChoice { kAuto, kCpu, kCuda };

struct RewardModelOptions {
  DTypeChoice dtype =
      DTypeChoice::kAuto;  ///< auto: bfloat16 where the machine has native bf16, float32 otherwise
  DeviceChoice device = DeviceChoice::kAuto;  ///< auto: cuda when built for it and present
  int threads = 0;                            ///< 0: all processors of this process
};

/// What --dtype means on this machine: bfloat16 (true) or float32.
bool computes_in_bfloat16(DTypeChoice dtype, bool on_cuda);

/// Reads a Hugging Face folder. Throws kInput for anything that would give a wrong score.
std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir,
                                               const RewardModelOptions& options);

}  // namespace charm::model
