#include "charm/engine/weights_folder.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/torch_file.h"

namespace charm::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// transformers 5.17, modeling_utils.py: in this order.
constexpr std::string_view kUsualNames[] = {"model.safetensors", "model.safetensors.index.json",
                                            "pytorch_model.bin", "pytorch_model.bin.index.json"};

// DistributedDataParallel and DeepSpeed; torch.compile; FSDP, and its activation checkpointing.
constexpr std::string_view kOuterWrapper = "module.";
constexpr std::string_view kWrappers[] = {"_orig_mod.", "_fsdp_wrapped_module.",
                                          "_checkpoint_wrapped_module."};

bool is_index(std::string_view name) { return name.ends_with(".index.json"); }

/// tensor name -> shard's file name, from the index.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const std::string text = read_file(index);
  refuse_lfs_pointer(text, index.string());
  json parsed = parse_json(text, index.string());
  const json* map =
      parsed.is_object() && parsed.contains("weight_map") ? &parsed["weight_map"] : nullptr;
  if (map == nullptr || !map->is_object()) {
    throw Error(ErrorKind::kInput,
                "{}: expected an object 'weight_map' from tensor names to shards", index.string());
  }
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    const bool plain = shard.is_string() &&
                       fs::path(shard.get<std::string>()).filename() == shard.get<std::string>();
    if (!plain) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' lies in {}, expected the name of a file beside the index",
                  index.string(), name, shard.dump());
    }
    shards.emplace(name, shard.get<std::string>());
  }
  if (shards.empty()) throw Error(ErrorKind::kInput, "{}: 'weight_map' is empty", index.string());
  return shards;
}

[[noreturn]] void throw_no_weights(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw Error(ErrorKind::kIo, "{}: expected a model folder in Hugging Face form, found none",
                folder.string());
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt") {
      throw Error(ErrorKind::kInput,
                  "{}: expected the weights as {}, found '{}': if it holds a state_dict() of "
                  "torch.save, name it {}; otherwise write the model with save_pretrained",
                  folder.string(), fmt::join(kUsualNames, ", "), entry.path().filename().string(),
                  kUsualNames[2]);
    }
  }
  throw Error(ErrorKind::kInput, "{}: expected the weights as {}, found none of them",
              folder.string(), fmt::join(kUsualNames, ", "));
}

/// The file or index to open.
fs::path find_weights(const fs::path& folder, const std::string& weights) {
  if (!weights.empty()) {
    const bool plain = fs::path(weights).filename() == weights;
    if (!plain || !fs::exists(folder / weights)) {
      throw Error(ErrorKind::kInput,
                  "{}: config.json names the weights '{}' (transformers_weights), expected a file "
                  "of this folder",
                  folder.string(), weights);
    }
    return folder / weights;
  }
  for (const std::string_view name : kUsualNames) {
    if (fs::exists(folder / name)) return folder / name;
  }
  throw_no_weights(folder);
}

/// Copies the strided elements of a tensor in row-major order.
void gather(const std::byte* from, const TensorInfo& info, Tensor& to) {
  const std::size_t element = element_bytes(info.dtype);
  std::vector<std::int64_t> index(info.shape.size(), 0);
  std::byte* out = to.mutable_bytes();
  for (std::int64_t left = to.numel(); left > 0; --left, out += element) {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < index.size(); ++i) offset += index[i] * info.strides[i];
    std::memcpy(out, from + static_cast<std::size_t>(offset) * element, element);
    for (std::size_t i = index.size(); i-- > 0;) {
      if (++index[i] < info.shape[i]) break;
      index[i] = 0;
    }
  }
}

}  // namespace

WeightsFile::WeightsFile(fs::path path)
    : path_(std::move(path)), file_(std::make_shared<const MappedFile>(path_)) {}

Tensor WeightsFile::view(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Error(ErrorKind::kInput, "{}: no tensor '{}'", path_.string(), name);
  const TensorInfo& info = found->second;
  if (info.begin == info.end) return Tensor::empty(info.shape, info.dtype);
  const std::byte* bytes = file_->data() + info.begin;
  const std::size_t element = element_bytes(info.dtype);
  // Both formats usually align their tensors but need not: unaligned ones are copied.
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes) % element == 0;
  if (aligned && info.strides.empty()) return Tensor::over(file_, bytes, info.shape, info.dtype);
  Tensor copy = Tensor::empty(info.shape, info.dtype);
  if (info.strides.empty()) {
    std::memcpy(copy.mutable_bytes(), bytes, info.end - info.begin);
  } else {
    gather(bytes, info, copy);
  }
  return copy;
}

std::unique_ptr<WeightsFile> open_weights_file(const fs::path& path) {
  const fs::path extension = path.extension();
  if (extension == ".bin" || extension == ".pt" || extension == ".pth")
    return std::make_unique<TorchFile>(path);
  return std::make_unique<SafetensorsFile>(path);
}

void release_pages(const Tensor& tensor) {
  if (tensor.defined()) MappedFile::release_pages(tensor.bytes(), tensor.nbytes());
}

std::vector<std::int64_t> StoredTensor::shape() const {
  const std::vector<std::int64_t>& whole = info().shape;
  return part ? std::vector{part->rows * part->count, whole.back()} : whole;
}

Tensor StoredTensor::view() const {
  Tensor whole = file->view(name);
  if (!part) return whole;
  const std::int64_t width = whole.shape().back();
  const Tensor rows = whole.view({width == 0 ? 0 : whole.numel() / width, width});
  if (part->count == 1) return rows.narrow(part->first, part->rows);
  Tensor gathered = Tensor::empty(shape(), whole.dtype());
  for (std::int64_t i = 0; i < part->count; ++i) {
    gathered.narrow(i * part->rows, part->rows)
        .copy_from(rows.narrow(part->first + i * part->stride, part->rows));
  }
  return gathered;
}

bool has_weights(const fs::path& folder) {
  std::error_code error;
  return std::any_of(std::begin(kUsualNames), std::end(kUsualNames),
                     [&](std::string_view name) { return fs::exists(folder / name, error); });
}

WeightsFolder::WeightsFolder(const fs::path& folder, const std::string& weights) {
  const fs::path path = find_weights(folder, weights);
  if (is_index(path.filename().string())) {
    open_shards(path);
  } else {
    add(path);
  }
}

void WeightsFolder::add(const fs::path& path, std::string_view prefix) {
  files_.push_back(open_weights_file(path));
  for (const auto& [name, info] : files_.back()->tensors())
    add_tensor(*files_.back(), name, prefix);
}

void WeightsFolder::add_tensor(const WeightsFile& file, const std::string& name,
                               std::string_view prefix) {
  std::string bare = name;
  if (bare.starts_with(kOuterWrapper)) {
    bare.erase(0, kOuterWrapper.size());
    wrappers_.emplace(kOuterWrapper);
  }
  for (const std::string_view wrapper : kWrappers) {
    for (std::size_t at = bare.find(wrapper); at != std::string::npos; at = bare.find(wrapper)) {
      bare.erase(at, wrapper.size());
      wrappers_.emplace(wrapper);
    }
  }
  bare.insert(0, prefix);
  const auto [place, is_new] = tensors_.try_emplace(bare, StoredTensor{&file, name});
  if (is_new) return;
  throw Error(ErrorKind::kInput, "{}: tensor '{}' is there twice: as '{}' of {} too",
              file.path().string(), bare, place->second.name, place->second.file->path().string());
}

void WeightsFolder::open_shards(const fs::path& index) {
  const std::map<std::string, std::string> shards = read_weight_map(index);
  std::map<std::string, const WeightsFile*> opened;
  for (const auto& [name, shard] : shards) {
    if (opened.contains(shard)) continue;
    if (!fs::exists(index.parent_path() / shard)) {
      throw Error(ErrorKind::kInput, "{}: shard '{}' of tensor '{}' is missing from the folder",
                  index.string(), shard, name);
    }
    files_.push_back(open_weights_file(index.parent_path() / shard));
    opened.emplace(shard, files_.back().get());
  }
  const std::string index_name = index.filename().string();
  for (const auto& [name, shard] : shards) {
    const WeightsFile* file = opened.at(shard);
    if (!file->tensors().contains(name)) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' is missing, though {} places it here",
                  file->path().string(), name, index_name);
    }
    add_tensor(*file, name, "");
  }
  for (const auto& file : files_) {
    for (const auto& [name, info] : file->tensors()) {
      const auto named = shards.find(name);
      if (named == shards.end() || opened.at(named->second) != file.get()) {
        throw Error(ErrorKind::kInput, "{}: holds tensor '{}', which {} {}", file->path().string(),
                    name, index_name,
                    named == shards.end() ? "does not name" : "places in another shard");
      }
    }
  }
}

}  // namespace charm::engine
