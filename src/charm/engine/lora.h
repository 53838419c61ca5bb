#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "charm/engine/weights_folder.h"

namespace charm::engine {

/// A PEFT LoRA adapter: factors that are added to weights of the base, and tensors that replace or
/// add to the base's (`modules_to_save`, trained biases). Formulas: peft 0.21, tuners/lora.
/// Immutable; thread-safe.
class LoraAdapter {
 public:
  /// Throws kInput for other kinds of adapters, for settings that change the model beyond that sum
  /// (DoRA, ...), rank 0, and tensors that do not fit together.
  explicit LoraAdapter(const std::filesystem::path& folder);

  /// Whether the weight `name` of the base is changed by a product of factors.
  bool changes(const std::string& name) const { return products_.contains(name); }

  /// weight + scale * B A, summed in float32 (for embeddings its transpose), as `dtype`. Throws
  /// kInput where the factors' shapes are of another base.
  Tensor merged(const std::string& name, const Tensor& weight, DType dtype) const;

  /// The names of the base's weights that are changed by a product.
  std::vector<std::string> changed() const;

  /// Base tensor name -> name in `file()`, of tensors that replace the base's or add to them.
  const std::map<std::string, std::string>& replaced() const { return replaced_; }

  const WeightsFile& file() const { return *file_; }

  /// "LoRA of rank 8 on 14 tensors, scale 2": for messages and manifests.
  std::string summary() const;

 private:
  struct Config;
  struct Product {
    std::string a, b;  ///< names in the file
    double scale = 1.0;
    bool transposed = false;  ///< of an embedding
  };
  void add_factor(const std::string& stored, const std::string& module, bool is_b, bool embedding,
                  const Config& config);
  void check_products(const Config& config) const;

  std::unique_ptr<WeightsFile> file_;
  std::map<std::string, Product> products_;  ///< by the base weight's name
  std::map<std::string, std::string> replaced_;
  std::int64_t rank_ = 0;
};

}  // namespace charm::engine
