#include "charm/train/train_checkpoint.h"

#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/engine/safetensors.h"

namespace charm::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgressKey = "charm_train";

TrainProgress parse_progress(const engine::SafetensorsFile& file) {
  const auto found = file.metadata().find(kProgressKey);
  try {
    if (found == file.metadata().end())
      throw Error(ErrorKind::kInput, "no entry '{}' in its metadata", kProgressKey);
    const auto json = nlohmann::json::parse(found->second);
    return {json.at("fingerprint").get<std::string>(), json.at("step").get<std::int64_t>(),
            json.at("metrics_bytes").get<std::int64_t>()};
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput, "{}: not a checkpoint of charm train ({}); --fresh starts over",
                file.path().string(), error.what());
  }
}

/// Checkpointed tensors by name.
std::vector<std::pair<std::string, at::Tensor>> run_tensors(TrainableModel& model,
                                                            const AdamW& optimizer) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.trainable()) tensors.emplace_back("w." + parameter.name, parameter.master);
  }
  for (auto& item : optimizer.state()) tensors.push_back(std::move(item));
  return tensors;
}

}  // namespace

void write_checkpoint(const fs::path& path, TrainableModel& model, const AdamW& optimizer,
                      const TrainProgress& progress) {
  const nlohmann::ordered_json json = {{"fingerprint", progress.fingerprint},
                                       {"step", progress.step},
                                       {"metrics_bytes", progress.metrics_bytes}};
  engine::write_safetensors(path, run_tensors(model, optimizer), at::kFloat,
                            {{kProgressKey, json.dump()}});
}

std::optional<TrainProgress> read_checkpoint_progress(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return parse_progress(engine::SafetensorsFile(path));
}

void restore_checkpoint(const fs::path& path, TrainableModel& model, AdamW& optimizer) {
  const engine::SafetensorsFile file(path);
  const TrainProgress progress = parse_progress(file);
  const auto tensors = run_tensors(model, optimizer);
  const at::NoGradGuard guard;
  for (const auto& [name, tensor] : tensors) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end() || tensor.sizes() != at::IntArrayRef(found->second.shape)) {
      throw Error(
          ErrorKind::kInput,
          "{}: tensor '{}' is missing or has another shape than the model's; --fresh starts over",
          path.string(), name);
    }
    tensor.copy_(file.view(name));
  }
  optimizer.set_num_steps(progress.step);
  model.refresh_compute_weights();
}

}  // namespace charm::train
