#include "charm/train/metrics_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "charm/base/error.h"

namespace charm::train {

using nlohmann::ordered_json;

MetricsLog::MetricsLog(const fs::path& path, std::int64_t keep_bytes) : path_(path) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  std::error_code code;
  if (keep_bytes == 0) {
    fs::remove(path, code);
  } else {
    const auto present = static_cast<std::int64_t>(fs::file_size(path, code));
    if (code || present < keep_bytes) {
      throw Error(ErrorKind::kInput,
                  "{}: the checkpoint was made when this file had {} bytes; --fresh starts over",
                  path.string(), keep_bytes);
    }
    fs::resize_file(path, static_cast<std::uintmax_t>(keep_bytes), code);
  }
  if (code) throw Error(ErrorKind::kIo, "{}: cannot write: {}", path.string(), code.message());
  lines_ = std::make_unique<LineAppender>(path);
}

std::int64_t MetricsLog::num_bytes() const {
  return static_cast<std::int64_t>(fs::file_size(path_));
}

void MetricsLog::add(const StepMetrics& m) {
  const ordered_json json = {
      {"kind", "train"},          {"step", m.step},           {"loss", m.loss},
      {"accuracy", m.accuracy},   {"margin", m.margin},       {"learning_rate", m.learning_rate},
      {"grad_norm", m.grad_norm}, {"num_pairs", m.num_pairs}, {"num_tokens", m.num_tokens}};
  lines_->append(json.dump());
}

void MetricsLog::add(std::string_view when, std::int64_t step, const EvalSummary& s) {
  const ordered_json json = {{"kind", "eval"},           {"when", when},   {"step", step},
                             {"num_pairs", s.num_pairs}, {"loss", s.loss}, {"accuracy", s.accuracy},
                             {"margin", s.margin}};
  lines_->append(json.dump());
}

MetricsSummary read_metrics(const fs::path& path) {
  MetricsSummary summary;
  std::istringstream lines(read_file(path));
  std::string line;
  while (std::getline(lines, line)) {
    const auto json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      throw Error(ErrorKind::kInput, "{}: a line is not a JSON object", path.string());
    if (json.value("kind", "") == "train") {
      summary.step_losses.push_back(json.value("loss", 0.0));
      summary.largest_grad_norm = std::max(summary.largest_grad_norm, json.value("grad_norm", 0.0));
      continue;
    }
    const EvalSummary eval{json.value("num_pairs", std::int64_t{0}), json.value("accuracy", 0.0),
                           json.value("loss", 0.0), json.value("margin", 0.0)};
    if (json.value("when", "") == "before") summary.eval_before = eval;
    if (json.value("when", "") == "after") summary.eval_after = eval;
  }
  return summary;
}

}  // namespace charm::train
