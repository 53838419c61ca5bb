#include "charm/train/train_checkpoint.h"

#include <nlohmann/json.hpp>

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
    return {json.at("run").get<std::string>(), json.at("step").get<std::int64_t>(),
            json.at("metrics_bytes").get<std::int64_t>()};
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kInput, "{}: not a checkpoint of charm train ({}); --fresh starts over",
                file.path().string(), error.what());
  }
}

}  // namespace

void write_checkpoint(const fs::path& path, engine::TrainableModel& model,
                      const TrainProgress& progress) {
  const nlohmann::ordered_json json = {
      {"run", progress.run}, {"step", progress.step}, {"metrics_bytes", progress.metrics_bytes}};
  engine::write_safetensors(path, model.state(), engine::DType::kFloat32,
                            {{kProgressKey, json.dump()}});
}

std::optional<TrainProgress> read_checkpoint_progress(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return parse_progress(engine::SafetensorsFile(path));
}

void restore_checkpoint(const fs::path& path, engine::TrainableModel& model) {
  const engine::SafetensorsFile file(path);
  const auto find = [&](const std::string& name, const engine::Tensor::Shape& shape) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end() || found->second.shape != shape) {
      throw Error(
          ErrorKind::kInput,
          "{}: tensor '{}' is missing or has another shape than the model's; --fresh starts over",
          path.string(), name);
    }
    return file.view(name);
  };
  model.restore(find, parse_progress(file).step);
}

}  // namespace charm::train
