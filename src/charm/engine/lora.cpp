#include "charm/engine/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <span>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/engine/safetensors.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {
namespace {

using nlohmann::ordered_json;

/// Settings that make an adapter more than W + scale * B A, or change what W is.
struct ForeignSetting {
  const char* key;
  const char* what;
};
constexpr ForeignSetting kForeign[] = {
    {"use_dora", "DoRA scales the merged rows by a trained magnitude"},
    {"use_qalora", "QA-LoRA pools the inputs of a quantised base"},
    {"use_bdlora", "BD-LoRA has block-diagonal factors"},
    {"alora_invocation_tokens", "activated LoRA applies from a token on and cannot be merged"},
    {"arrow_config", "Arrow routes between several adapters"},
    {"kasa_config", "KaSA changes the base's weights"},
    {"velora_config", "VeLoRA compresses activations"},
    {"monteclora_config", "MonteCLoRA samples its factors"},
    {"layer_replication", "it repeats layers of the base"},
    {"target_parameters", "it targets parameters instead of modules"},
    {"trainable_token_indices", "it replaces single rows of the embedding"},
    {"lora_bias", "its factors have biases"},
    {"fan_in_fan_out", "its factors are transposed"},
    {"megatron_config", "it targets Megatron's layers"}};

// Initialisations that leave the base's weights as they are.
constexpr const char* kPlainStarts[] = {"gaussian", "eva", "orthogonal"};

bool is_set(const ordered_json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && !found->is_null() && *found != false &&
         !(found->is_structured() && found->empty());
}

}  // namespace

/// adapter_config.json.
struct LoraAdapter::Config {
  std::string file;
  std::int64_t rank = 0;
  double alpha = 0.0;
  bool by_root = false;                                       ///< rsLoRA
  std::vector<std::pair<std::string, double>> ranks, alphas;  ///< patterns

  explicit Config(const fs::path& folder);

  std::int64_t rank_of(const std::string& module) const {
    return static_cast<std::int64_t>(matching(ranks, module).value_or(static_cast<double>(rank)));
  }
  double scale_of(const std::string& module) const {
    const double own_alpha = matching(alphas, module).value_or(alpha);
    const auto own_rank = static_cast<double>(rank_of(module));
    return by_root ? own_alpha / std::sqrt(own_rank) : own_alpha / own_rank;
  }

 private:
  std::optional<double> matching(const std::vector<std::pair<std::string, double>>& patterns,
                                 const std::string& module) const;
  double number(const ordered_json& config, const char* key) const;
  std::vector<std::pair<std::string, double>> read_patterns(const ordered_json& config,
                                                            const char* key) const;
};

LoraAdapter::Config::Config(const fs::path& folder)
    : file((folder / "adapter_config.json").string()) {
  if (!fs::exists(folder / "adapter_config.json")) {
    throw Error(ErrorKind::kInput,
                "{}: an adapter's weights without adapter_config.json, which says their scale",
                folder.string());
  }
  const auto config = parse_json<ordered_json>(read_file(file), file);
  const std::string type =
      config.is_object() && config.contains("peft_type") ? config["peft_type"].dump() : "missing";
  if (type != "\"LORA\"") {
    throw Error(ErrorKind::kInput,
                "{}: peft_type is {}, expected \"LORA\": other adapters cannot be merged here; "
                "merge it in Python (merge_and_unload(), save_pretrained()) and give that folder",
                file, type);
  }
  for (const ForeignSetting& foreign : kForeign) {
    if (!is_set(config, foreign.key)) continue;
    throw Error(ErrorKind::kInput,
                "{}: {} is {}: {}, which is not supported; merge it in Python (merge_and_unload(), "
                "save_pretrained()) and give that folder",
                file, foreign.key, config[foreign.key].dump(), foreign.what);
  }
  const ordered_json start = config.value("init_lora_weights", ordered_json(true));
  const bool plain = start.is_boolean() || start.is_null() ||
                     std::any_of(std::begin(kPlainStarts), std::end(kPlainStarts),
                                 [&](const char* name) { return start == name; });
  if (!plain) {
    throw Error(ErrorKind::kInput,
                "{}: init_lora_weights is {}: peft changes the base's weights by it when it loads "
                "the adapter; save the adapter with path_initial_model_for_weight_conversion, or "
                "merge it in Python",
                file, start.dump());
  }
  const double r = number(config, "r");
  rank = static_cast<std::int64_t>(r);
  if (r < 1.0 || r != std::floor(r))
    throw Error(ErrorKind::kInput, "{}: r is {}, expected a rank of at least 1", file, r);
  alpha = number(config, "lora_alpha");
  by_root = is_set(config, "use_rslora");
  ranks = read_patterns(config, "rank_pattern");
  alphas = read_patterns(config, "alpha_pattern");
  for (const auto& [pattern, value] : ranks) {
    if (value >= 1.0 && value == std::floor(value)) continue;
    throw Error(ErrorKind::kInput, "{}: rank_pattern of '{}' is {}, expected a rank of at least 1",
                file, pattern, value);
  }
}

double LoraAdapter::Config::number(const ordered_json& config, const char* key) const {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_number()) {
    throw Error(ErrorKind::kInput, "{}: {} is {}, expected a number", file, key,
                found == config.end() ? "missing" : found->dump());
  }
  return found->get<double>();
}

std::vector<std::pair<std::string, double>> LoraAdapter::Config::read_patterns(
    const ordered_json& config, const char* key) const {
  std::vector<std::pair<std::string, double>> patterns;
  if (!is_set(config, key)) return patterns;
  for (const auto& [pattern, value] : config[key].items()) {
    if (!config[key].is_object() || !value.is_number()) {
      throw Error(ErrorKind::kInput, "{}: {} is {}, expected an object of numbers", file, key,
                  config[key].dump());
    }
    patterns.emplace_back(pattern, value.get<double>());
  }
  return patterns;
}

/// peft's get_pattern_key: the first pattern that matches the end of the module's name from a dot
/// on.
std::optional<double> LoraAdapter::Config::matching(
    const std::vector<std::pair<std::string, double>>& patterns, const std::string& module) const {
  for (const auto& [pattern, value] : patterns) {
    try {
      if (std::regex_match(module, std::regex("(.*\\.)?(" + pattern + ")"))) return value;
    } catch (const std::regex_error&) {
      throw Error(ErrorKind::kInput, "{}: '{}' is no regular expression", file, pattern);
    }
  }
  return std::nullopt;
}

namespace {

/// "base_model.model.model.layers.0.mlp.up_proj" -> "model.layers.0.mlp.up_proj"; empty for other
/// names.
std::string base_name(std::string_view stored) {
  constexpr std::string_view kPrefix = "base_model.model.";
  if (!stored.starts_with(kPrefix)) return "";
  std::string name(stored.substr(kPrefix.size()));
  for (const std::string_view wrapper : {"modules_to_save.default.", "modules_to_save.",
                                         "base_layer.", "_orig_mod.", "_fsdp_wrapped_module."}) {
    if (const std::size_t at = name.find(wrapper); at != std::string::npos)
      name.erase(at, wrapper.size());
  }
  return name;
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
struct FactorName {
  std::string_view ending;
  bool is_b;
  bool embedding;
};
constexpr FactorName kFactors[] = {
    {".lora_A.weight", false, false},           {".lora_B.weight", true, false},
    {".lora_A.default.weight", false, false},   {".lora_B.default.weight", true, false},
    {".lora_embedding_A", false, true},         {".lora_embedding_B", true, true},
    {".lora_embedding_A.default", false, true}, {".lora_embedding_B.default", true, true}};

/// weight + scale * left right, in blocks of rows that stay in the cache.
/// @param right_IR  transposed
Tensor add_product(const Tensor& weight_OI, const Tensor& left_OR, const Tensor& right_IR,
                   double scale, DType dtype) {
  constexpr std::int64_t kBlockElements = std::int64_t{1} << 20;
  const std::int64_t rows = weight_OI.rows(), inputs = weight_OI.cols();
  const std::int64_t block = std::clamp<std::int64_t>(kBlockElements / inputs, 1, rows);
  const kernels::PackedWeight right =
      kernels::PackedWeight::pack<float>(right_IR.data<float>(), nullptr, inputs, right_IR.cols());
  Tensor sum_OI = Tensor::empty(weight_OI.shape(), dtype);
  Tensor product = Tensor::empty({block, inputs}, DType::kFloat32);
  for (std::int64_t row = 0; row < rows; row += block) {
    const std::int64_t count = std::min(block, rows - row);
    kernels::GemmOutput<float> output;
    output.weight = &right;
    output.out = product.mutable_data<float>();
    output.row_stride = inputs;
    kernels::gemm<float>(left_OR.narrow(row, count).data<float>(), left_OR.cols(), count,
                         std::span(&output, 1));
    const Tensor weight = weight_OI.narrow(row, count).to(DType::kFloat32);
    Tensor part = product.narrow(0, count);
    const float* base = weight.data<float>();
    float* sum = part.mutable_data<float>();
    for (std::int64_t i = 0; i < part.numel(); ++i)
      sum[i] = base[i] + static_cast<float>(scale) * sum[i];
    sum_OI.narrow(row, count).copy_from(part);
  }
  return sum_OI;
}

}  // namespace

LoraAdapter::LoraAdapter(const fs::path& folder) {
  const Config config(folder);
  rank_ = config.rank;
  file_ = open_weights_file(weights_of(folder));
  for (const auto& [stored, info] : file_->tensors()) {
    const std::string name = base_name(stored);
    const auto* factor =
        std::find_if(std::begin(kFactors), std::end(kFactors),
                     [&](const FactorName& f) { return name.ends_with(f.ending); });
    if (factor != std::end(kFactors)) {
      add_factor(stored, name.substr(0, name.size() - factor->ending.size()), factor->is_b,
                 factor->embedding, config);
      continue;
    }
    if (name.empty() || name.find(".lora_") != std::string::npos) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' is none that a LoRA adapter has: expected names that begin with "
                  "'base_model.model.' and end with lora_A.weight or lora_B.weight, or whole "
                  "modules",
                  file_->path().string(), stored);
    }
    replaced_.emplace(name, stored);
  }
  check_products(config);
}

void LoraAdapter::add_factor(const std::string& stored, const std::string& module, bool is_b,
                             bool embedding, const Config& config) {
  Product& product = products_[module + ".weight"];
  (is_b ? product.b : product.a) = stored;
  product.transposed = embedding;
  product.scale = config.scale_of(module);
}

void LoraAdapter::check_products(const Config& config) const {
  for (const auto& [name, product] : products_) {
    const auto fail = [&](std::string_view what) {
      throw Error(ErrorKind::kInput, "{}: {}: {}", file_->path().string(), name, what);
    };
    if (product.a.empty() || product.b.empty()) fail("only one of its two LoRA factors is there");
    const TensorInfo& a = file_->tensors().at(product.a);
    const TensorInfo& b = file_->tensors().at(product.b);
    if (a.shape.size() != 2 || b.shape.size() != 2) fail("a LoRA factor is no matrix");
    const std::int64_t rank = config.rank_of(name.substr(0, name.rfind('.')));
    if (a.shape[0] != rank || b.shape[1] != rank) {
      fail(fmt::format("its LoRA factors have the shapes [{}] and [{}], but {} says rank {}",
                       fmt::join(b.shape, ", "), fmt::join(a.shape, ", "), config.file, rank));
    }
  }
}

Tensor LoraAdapter::merged(const std::string& name, const Tensor& weight, DType dtype) const {
  const Product& product = products_.at(name);
  const auto load = [&](const std::string& stored) {
    const Tensor factor = file_->view(stored);
    const bool is_float = factor.dtype() == DType::kFloat64 || factor.dtype() == DType::kFloat32 ||
                          factor.dtype() == DType::kFloat16 || factor.dtype() == DType::kBFloat16;
    if (!is_float) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' is no float16, bfloat16 or float32",
                  file_->path().string(), stored);
    }
    Tensor values = factor.to(DType::kFloat32);
    if (find_non_finite(values)) {
      throw Error(ErrorKind::kInput, "{}: tensor '{}' holds NaN or infinity",
                  file_->path().string(), stored);
    }
    return values;
  };
  const Tensor b = load(product.b), a = load(product.a);
  const std::vector<std::int64_t> delta =
      product.transposed ? std::vector{a.size(1), b.size(0)} : std::vector{b.size(0), a.size(1)};
  if (weight.shape() != delta) {
    throw Error(ErrorKind::kInput,
                "{}: the adapter changes {} by a matrix of shape [{}], but the base model's is "
                "[{}]: the adapter was trained on another base; give that one: --base-model DIR",
                file_->path().string(), name, fmt::join(delta, ", "),
                fmt::join(weight.shape(), ", "));
  }
  const Tensor left_OR = product.transposed ? a.transposed() : b;
  const Tensor right_IR = product.transposed ? b : a.transposed();
  return add_product(weight, left_OR, right_IR, product.scale, dtype);
}

std::vector<std::string> LoraAdapter::changed() const {
  std::vector<std::string> names;
  for (const auto& [name, product] : products_) names.push_back(name);
  return names;
}

std::string LoraAdapter::summary() const {
  std::string text = fmt::format("LoRA of rank {} merged into {} tensors", rank_, products_.size());
  if (!replaced_.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, stored] : replaced_) names.push_back(name);
    constexpr std::size_t kFew = 4;
    const bool many = names.size() > kFew;
    if (many) names.resize(kFew);
    text += fmt::format(", {} of the adapter's own{}", fmt::join(names, ", "), many ? ", ..." : "");
  }
  return text;
}

}  // namespace charm::engine
