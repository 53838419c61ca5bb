#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "charm/base/files.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// One optimiser step in metrics.jsonl; means are over the step's pairs.
struct StepMetrics {
  std::int64_t step = 0;  ///< 1-based: steps done
  double loss = 0.0;      ///< training loss, margin and centring included
  double accuracy = 0.0;
  double margin = 0.0;  ///< score units
  double learning_rate = 0.0;
  double grad_norm = 0.0;  ///< before clipping
  std::int64_t num_pairs = 0;
  std::int64_t num_tokens = 0;
};

/// metrics.jsonl: {"kind": "train", "step", "loss", "accuracy", "margin", "learning_rate",
/// "grad_norm", "num_pairs", "num_tokens"} per step and {"kind": "eval", "when": "before" |
/// "during" | "after", "step", "num_pairs", "loss", "accuracy", "margin"} per evaluation. Contains
/// no timestamps, so that the same run writes the same bytes. Not thread-safe.
class MetricsLog {
 public:
  /// Truncates an earlier run's file to `keep_bytes` and appends.
  MetricsLog(const std::filesystem::path& path, std::int64_t keep_bytes);

  void add(const StepMetrics& metrics);
  void add(std::string_view when, std::int64_t step, const EvalSummary& summary);

  std::int64_t num_bytes() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<LineAppender> lines_;
};

/// Summary of a finished metrics.jsonl.
struct MetricsSummary {
  std::optional<EvalSummary> eval_before;
  std::optional<EvalSummary> eval_after;
  std::vector<double> step_losses;
  double largest_grad_norm = 0.0;  ///< of a step
};
MetricsSummary read_metrics(const std::filesystem::path& path);

}  // namespace charm::train
