#include "charm/engine/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

constexpr std::string_view kBaseLayer = ".base_layer";
constexpr std::string_view kTokenRows[] = {".token_adapter.trainable_tokens_delta",
                                           ".token_adapter.trainable_tokens_delta.default"};

/// "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight" without peft's prefix and the
/// wrappers of training frameworks; empty for other names.
std::string adapter_name(std::string_view stored) {
  constexpr std::string_view kPrefix = "base_model.model.";
  if (!stored.starts_with(kPrefix)) return "";
  std::string name(stored.substr(kPrefix.size()));
  for (const std::string_view wrapper : {"_orig_mod.", "_fsdp_wrapped_module."}) {
    for (std::size_t at = name.find(wrapper); at != std::string::npos; at = name.find(wrapper))
      name.erase(at, wrapper.size());
  }
  return name;
}

/// The base's name of a whole tensor.
std::string whole_name(std::string name) {
  for (const std::string_view wrapper :
       {"modules_to_save.default.", "modules_to_save.", "base_layer."}) {
    if (const std::size_t at = name.find(wrapper); at != std::string::npos)
      name.erase(at, wrapper.size());
  }
  return name;
}

/// "model.layers.0.mlp.up_proj.weight" -> "model.layers.0.mlp.up_proj".
std::string module_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

/// The names, or the first few of them.
std::string few(const std::vector<std::string>& names) {
  constexpr std::size_t kFew = 4;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(kFew, names.size()));
  return fmt::format("{}{}", fmt::join(names.begin(), end, ", "),
                     names.size() > kFew ? ", ..." : "");
}

fs::path weights_of(const fs::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  throw Error(ErrorKind::kInput,
              "{}: has no adapter_model.safetensors and no adapter_model.bin, which hold the "
              "adapter's weights",
              folder.string());
}

/// The ending of a factor's name and what it means.
enum class FactorPart { kA, kB, kBias };
struct FactorName {
  std::string_view ending;
  FactorPart part;
  bool of_embedding = false;
};
constexpr FactorName kFactors[] = {{".lora_A.weight", FactorPart::kA},
                                   {".lora_B.weight", FactorPart::kB},
                                   {".lora_B.bias", FactorPart::kBias},
                                   {".lora_A.default.weight", FactorPart::kA},
                                   {".lora_B.default.weight", FactorPart::kB},
                                   {".lora_B.default.bias", FactorPart::kBias},
                                   {".lora_embedding_A", FactorPart::kA, true},
                                   {".lora_embedding_B", FactorPart::kB, true},
                                   {".lora_embedding_A.default", FactorPart::kA, true},
                                   {".lora_embedding_B.default", FactorPart::kB, true}};

}  // namespace

LoraAdapter::LoraAdapter(const fs::path& folder, const AdapterBase& base)
    : config_(folder), file_(open_weights_file(weights_of(folder))) {
  for (const auto& [stored, factors] : sort_tensors(base)) add_module(stored, factors, base);
  if (changes_.empty() && !left_out_.empty()) {
    throw Error(
        ErrorKind::kInput,
        "{}: targets none of the modules whose factors are in {} ({}): peft refuses such an "
        "adapter",
        config_.file(), file_->path().string(), few(left_out_));
  }
  check_saved_modules(base);
  notes_ = config_.notes();
  note_targets(base);
}

std::map<std::string, LoraAdapter::Factors> LoraAdapter::sort_tensors(const AdapterBase& base) {
  std::map<std::string, Factors> factors;
  for (const auto& [stored, info] : file_->tensors()) {
    const std::string name = adapter_name(stored);
    const auto* factor =
        std::find_if(std::begin(kFactors), std::end(kFactors),
                     [&](const FactorName& f) { return name.ends_with(f.ending); });
    if (factor != std::end(kFactors)) {
      Factors& of = factors[name.substr(0, name.size() - factor->ending.size())];
      of.of_embedding = factor->of_embedding;
      std::string& part = factor->part == FactorPart::kA   ? of.a
                          : factor->part == FactorPart::kB ? of.b
                                                           : of.bias;
      part = stored;
      continue;
    }
    const auto* rows =
        std::find_if(std::begin(kTokenRows), std::end(kTokenRows),
                     [&](std::string_view ending) { return name.ends_with(ending); });
    if (rows != std::end(kTokenRows)) {
      add_rows(stored, name.substr(0, name.size() - rows->size()), base);
      continue;
    }
    if (name.empty() || name.find(".lora_") != std::string::npos) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' is none that a LoRA adapter has: expected names that begin with "
                  "'base_model.model.' and end with lora_A.weight or lora_B.weight, or whole "
                  "modules",
                  file_->path().string(), stored);
    }
    // The base's module beside the adapter's own; peft saves it where tokens were added.
    if (name.find(".original_module.") != std::string::npos) continue;
    // Of a tensor under both names peft loads the one without its wrapper.
    const std::string whole = whole_name(name);
    const auto own = base.rename(whole);
    if (own && whole == name) replaced_.insert_or_assign(*own, stored);
    if (own) replaced_.emplace(*own, stored);
  }
  return factors;
}

void LoraAdapter::add_module(const std::string& stored, const Factors& factors,
                             const AdapterBase& base) {
  // Parameters of one module are wrapped one in another (target_parameters).
  std::string module = stored;
  while (module.ends_with(kBaseLayer)) module.resize(module.size() - kBaseLayer.size());
  const std::string weight = module + ".weight";
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kInput, "{}: {}: {}", file_->path().string(), weight, what);
  };
  if (factors.a.empty() || factors.b.empty()) fail("only one of its two LoRA factors is there");
  const auto &a = shape_of(factors.a), &b = shape_of(factors.b);
  if (a.size() != 2 || b.size() != 2) fail("a LoRA factor is no matrix");
  const auto name = base.rename(weight);
  if (!name) {
    ++num_outside_;
    return;
  }
  if (!base.tensors.contains(*name) && add_experts(module, factors, base)) return;
  const bool by_parameter = config_.targets_parameter(weight);
  if (!by_parameter && !config_.targets(module)) {
    left_out_.push_back(module);
    return;
  }
  const std::string& key = by_parameter ? weight : module;
  const std::int64_t rank = config_.rank_of(key);
  if (a[0] != rank || b[1] != rank) {
    fail(fmt::format("its LoRA factors have the shapes [{}] and [{}], but {} says rank {}",
                     fmt::join(b, ", "), fmt::join(a, ", "), config_.file(), rank));
  }
  Change& change = changes_[*name];
  if (!change.rows.empty()) fail("it has both LoRA factors and trainable_token_indices");
  change.product = Product{.a = factors.a,
                           .b = factors.b,
                           .scale = config_.scale_of(key),
                           .transposed = factors.of_embedding};
  if (!factors.bias.empty()) add_bias(module, factors, base);
}

bool LoraAdapter::add_experts(const std::string& module, const Factors& factors,
                              const AdapterBase& base) {
  if (base.names == nullptr || base.names->experts == nullptr) return false;
  const ExpertNames& experts = *base.names->experts;
  const auto &a = shape_of(factors.a), &b = shape_of(factors.b);
  bool is_fused = false;
  for (const std::string_view fused : {experts.fused_gate_up, experts.fused_down}) {
    const std::string parameter = module + std::string(fused.substr(fused.rfind('.')));
    const auto name = base.rename(parameter);
    if (!name || !name->ends_with(fused)) continue;
    is_fused = true;
    const std::int64_t rank = config_.rank_of(parameter);
    if (a[0] % rank != 0 || b[1] != a[0]) continue;
    const std::int64_t num_experts = a[0] / rank;
    const std::vector<FusedPart> parts = parts_of_fused(*name, num_experts, b[0], *base.names);
    // Which parameter a wrapper belongs to is told by the shapes alone.
    const auto fits = [&](const FusedPart& part) {
      const auto found = base.tensors.find(part.name);
      return found != base.tensors.end() &&
             found->second.shape() == std::vector<std::int64_t>{part.rows, a[1]};
    };
    const std::string beyond =
        parts.empty() ? "" : parts_of_fused(*name, num_experts + 1, b[0], *base.names).back().name;
    if (parts.empty() || !std::all_of(parts.begin(), parts.end(), fits) ||
        base.tensors.contains(beyond))
      continue;
    if (!config_.targets_parameter(parameter)) {
      left_out_.push_back(parameter);
      return true;
    }
    for (const FusedPart& part : parts) {
      changes_[part.name].product =
          Product{.a = factors.a,
                  .b = factors.b,
                  .scale = config_.scale_of(parameter),
                  .share = ExpertShare{
                      .expert = part.expert, .rank = rank, .first = part.first, .rows = part.rows}};
    }
    return true;
  }
  if (!is_fused) return false;
  throw Error(ErrorKind::kInput,
              "{}: {}: its LoRA factors have the shapes [{}] and [{}], which are of neither tensor "
              "of the base's experts at the rank of {}",
              file_->path().string(), module, fmt::join(b, ", "), fmt::join(a, ", "),
              config_.file());
}

void LoraAdapter::add_bias(const std::string& module, const Factors& factors,
                           const AdapterBase& base) {
  const auto name = base.rename(module + ".bias");
  if (!config_.factors_have_biases() || !name || !base.tensors.contains(*name)) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' is a factor's bias, {}", file_->path().string(),
                factors.bias,
                config_.factors_have_biases()
                    ? "which can only be added to a bias of the base's module, and it has none: "
                      "peft does not merge it either"
                    : fmt::format("but {} says no lora_bias", config_.file()));
  }
  Change& change = changes_[*name];
  change.bias = factors.bias;
  change.bias_scale = config_.scale_of(module);
}

void LoraAdapter::add_rows(const std::string& stored, const std::string& module,
                           const AdapterBase& base) {
  const auto ids = config_.token_rows(module);
  if (!ids) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}' holds rows of {}, but {} has no trainable_token_indices of it",
                file_->path().string(), stored, module, config_.file());
  }
  const auto& shape = shape_of(stored);
  if (shape.size() != 2 || shape[0] != static_cast<std::int64_t>(ids->size())) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}' has shape [{}], but {} lists {} trainable_token_indices",
                file_->path().string(), stored, fmt::join(shape, ", "), config_.file(),
                ids->size());
  }
  const auto name = base.rename(module + ".weight");
  if (!name) return;
  changes_[*name].rows = stored;
  changes_[*name].row_ids = *ids;
}

/// peft stops at a module of modules_to_save, or with trainable rows, that the file does not have.
void LoraAdapter::check_saved_modules(const AdapterBase& base) const {
  for (const auto& [name, stored] : base.tensors) {
    if (is_ignored_weight(name) || replaced_.contains(name)) continue;
    const std::string module = module_of(name);
    const auto changed = changes_.find(name);
    const bool has_rows = changed != changes_.end() && !changed->second.rows.empty();
    const bool saved = config_.saves(module);
    if (!saved && (has_rows || !config_.token_rows(module))) continue;
    throw Error(ErrorKind::kInput,
                "{}: has no tensor of {}, although {} says that the adapter has its own ({}): was "
                "it saved with it? The base's is not used in its place",
                file_->path().string(), name, config_.file(),
                saved ? "modules_to_save" : "trainable_token_indices");
  }
}

void LoraAdapter::note_targets(const AdapterBase& base) {
  std::vector<std::string> missing;
  for (const auto& [name, stored] : base.tensors) {
    const bool is_matrix = name.ends_with(".weight") && stored.shape().size() == 2;
    if (!is_matrix || is_ignored_weight(name) || changes_.contains(name)) continue;
    if (config_.lists_targets() && config_.targets(module_of(name)))
      missing.push_back(module_of(name));
  }
  if (!missing.empty()) {
    notes_.push_back(
        fmt::format("{} targets {} modules without factors in the file: {}; they stay the base's, "
                    "as in peft",
                    config_.file(), missing.size(), few(missing)));
  }
  if (!left_out_.empty()) {
    notes_.push_back(fmt::format(
        "{} leaves out {} of the modules whose factors are in the file: {}; they are not merged, "
        "as peft does not load them",
        config_.file(), left_out_.size(), few(left_out_)));
  }
  if (num_outside_ > 0) {
    notes_.push_back(
        fmt::format("the adapter changes {} modules outside of the text side, which do not count "
                    "here",
                    num_outside_));
  }
}

const std::vector<std::int64_t>& LoraAdapter::shape_of(const std::string& stored) const {
  return file_->tensors().at(stored).shape;
}

std::vector<std::string> LoraAdapter::changed() const {
  std::vector<std::string> names;
  for (const auto& [name, change] : changes_) names.push_back(name);
  return names;
}

std::string LoraAdapter::summary() const {
  std::string text =
      fmt::format("LoRA of rank {} merged into {} tensors", config_.rank(), changes_.size());
  if (replaced_.empty()) return text;
  std::vector<std::string> names;
  for (const auto& [name, stored] : replaced_) names.push_back(name);
  return text + fmt::format(", {} of the adapter's own", few(names));
}

}  // namespace charm::engine
