#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/model_source.h"
#include "charm/engine/token_batch.h"

namespace charm {
class OptionTable;
}

namespace charm::engine {

struct DecoderConfig;

/// What manifests say of a loaded model: names and values.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// Interface of a reward model for scoring and evaluation. Tests use a fake. Scores are a function
/// of each sequence's tokens alone, bit for bit on CPU. Not thread-safe.
class RewardModel {
 public:
  virtual ~RewardModel() = default;

  /// @return raw head output (float32, unbounded) of each response's last token, in the batch's
  /// packed order. Throws kInput when a score is NaN or infinite.
  virtual std::vector<float> score(const PackedBatch& batch) = 0;

  /// Future of a batch's scores: call once, during the model's lifetime; blocks until they are
  /// computed and throws as `score` does.
  using PendingScores = std::function<std::vector<float>()>;

  /// Scores a batch asynchronously on a GPU; on a CPU the scores are computed when this returns.
  virtual PendingScores start(const PackedBatch& batch) {
    return [scores = score(batch)] { return scores; };
  }

  /// Batches to keep in flight so that the device never idles; more only cost memory.
  virtual int batches_in_flight() const { return 1; }

  /// Default token budget of a batch.
  virtual std::int64_t budget_tokens() const { return 4096; }

  /// Vocabulary, context length, pad token, the tokens where a gating network reads.
  virtual const DecoderConfig& config() const = 0;
  /// For the manifest: architecture, dtype, backend.
  virtual Provenance provenance() const = 0;
};

enum class DTypeChoice { kAuto, kFloat32, kBFloat16 };
enum class DeviceChoice { kAuto, kCpu, kCuda };

struct RewardModelOptions {
  DTypeChoice dtype = DTypeChoice::kAuto;     ///< auto: bfloat16 where the hardware supports it
                                              ///< natively, float32 otherwise
  DeviceChoice device = DeviceChoice::kAuto;  ///< auto: cuda when built for it and present
  int threads = 0;                            ///< 0: all processors of this process
  ModelSourceOptions source{};
};

/// `--dtype` and `--device`.
void describe_device(OptionTable& table, DTypeChoice& dtype, DeviceChoice& device);

/// Those and `describe_source`.
void describe_model(OptionTable& table, RewardModelOptions& options);

/// Resolves --dtype on this machine: bfloat16 (true) or float32.
bool computes_in_bfloat16(DTypeChoice dtype, bool on_cuda);

/// Throws kInput for a score that is NaN or infinite, naming its row.
void check_finite_scores(std::span<const float> scores, std::span<const std::size_t> rows,
                         const DecoderConfig& config);

/// Throws kInput: no head was found anywhere, and what to give.
[[noreturn]] void throw_no_reward_head(const ModelSource& source, const DecoderConfig& config);

/// Loads a reward model from a Hugging Face folder. Throws kInput for anything that would give a
/// wrong score.
std::unique_ptr<RewardModel> load_reward_model(const ModelSource& source,
                                               const RewardModelOptions& options);

/// The same, the folder resolved by `options.source`.
std::unique_ptr<RewardModel> load_reward_model(const std::filesystem::path& model_dir,
                                               const RewardModelOptions& options);

}  // namespace charm::engine
