#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "charm/engine/lora_config.h"
#include "charm/engine/weights_folder.h"

namespace charm::engine {

struct WeightNames;

/// What an adapter is merged into.
struct AdapterBase {
  const std::map<std::string, StoredTensor>& tensors;  ///< by the model's names
  const WeightNames* names;                            ///< null: of no known family
  /// The model's name of a base tensor's in the adapter; none outside of the text side.
  std::function<std::optional<std::string>(const std::string&)> rename;
};

/// A PEFT LoRA adapter: factors that are added to weights of the base, rows of embeddings that
/// replace the base's, and whole tensors that replace or add to the base's (`modules_to_save`,
/// trained biases). Formulas: peft 0.21, tuners/lora, tuners/trainable_tokens. Immutable;
/// thread-safe.
class LoraAdapter {
 public:
  /// Throws kInput as LoraConfig does, and for tensors that do not fit together or not to the base.
  LoraAdapter(const std::filesystem::path& folder, const AdapterBase& base);

  /// Whether the tensor `name` of the base is changed by factors or in rows.
  bool changes(const std::string& name) const { return changes_.contains(name); }

  /// Whether it has its own rows of the embedding `name`, and nothing else of it.
  bool replaces_rows(const std::string& name) const {
    const auto found = changes_.find(name);
    return found != changes_.end() && !found->second.rows.empty();
  }

  /// weight + scale * B A, summed in float32 (for embeddings its transpose), with its own rows, as
  /// `dtype`. Throws kInput where the factors' shapes are of another base.
  Tensor merged(const std::string& name, const Tensor& weight, DType dtype) const;

  /// The names of the base's tensors that are changed.
  std::vector<std::string> changed() const;

  /// Base tensor name -> name in `file()`, of tensors that replace the base's or add to them.
  const std::map<std::string, std::string>& replaced() const { return replaced_; }

  const WeightsFile& file() const { return *file_; }

  /// "LoRA of rank 8 merged into 14 tensors": for messages and manifests.
  std::string summary() const;

  /// What of the adapter has no effect, in words.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  /// The factors of one module, by their names in the file.
  struct Factors {
    std::string a, b, bias;
    bool of_embedding = false;
  };
  /// One expert's share of the factors A [X * r, D] and B [R, r * X] of a fused tensor.
  struct ExpertShare {
    std::int64_t expert = 0, rank = 0;
    std::int64_t first = 0, rows = 0;  ///< of B
  };
  struct Product {
    std::string a, b;
    double scale = 1.0;
    bool transposed = false;  ///< of an embedding
    std::optional<ExpertShare> share{};
  };
  struct Change {
    std::optional<Product> product{};
    std::string bias;  ///< name of a factor's bias, which is added, scaled
    double bias_scale = 1.0;
    std::string rows;  ///< name of the rows that replace those of `row_ids`
    std::vector<std::int64_t> row_ids{};
  };

  std::map<std::string, Factors> sort_tensors(const AdapterBase& base);
  void add_module(const std::string& stored, const Factors& factors, const AdapterBase& base);
  bool add_experts(const std::string& module, const Factors& factors, const AdapterBase& base);
  void add_bias(const std::string& module, const Factors& factors, const AdapterBase& base);
  void add_rows(const std::string& stored, const std::string& module, const AdapterBase& base);
  void check_saved_modules(const AdapterBase& base) const;
  void note_targets(const AdapterBase& base);
  const std::vector<std::int64_t>& shape_of(const std::string& stored) const;
  Tensor as_float32(const Tensor& values, const std::string& stored) const;
  Tensor with_product(const std::string& name, const Product& product, const Tensor& weight,
                      DType dtype) const;
  Tensor with_bias(const std::string& name, const Change& change, const Tensor& bias,
                   DType dtype) const;
  Tensor with_rows(const std::string& name, const Change& change, const Tensor& weight,
                   DType dtype) const;

  LoraConfig config_;
  std::unique_ptr<WeightsFile> file_;
  std::map<std::string, Change> changes_;  ///< by the base tensor's name
  std::map<std::string, std::string> replaced_;
  std::vector<std::string> left_out_;  ///< modules with factors that are not targeted
  std::size_t num_outside_ = 0;        ///< modules outside of the text side
  std::vector<std::string> notes_;
};

}  // namespace charm::engine
