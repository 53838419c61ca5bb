#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "charm/engine/heads.h"
#include "charm/engine/lora.h"
#include "charm/engine/model_source.h"
#include "charm/engine/weights_folder.h"

namespace charm::engine {

/// The stored tensors of a model source: those of its folder, files of heads beside them
/// (value_head.safetensors, ...) and an adapter's, which beat the folder's. Immutable; thread-safe.
class SourceTensors {
 public:
  /// Throws kInput for files that cannot be read.
  explicit SourceTensors(const ModelSource& source);

  /// Every tensor by its name in the model.
  const std::map<std::string, StoredTensor>& all() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  const StoredTensor& at(const std::string& name) const { return tensors_.at(name); }

  /// The adapter to merge; null where there is none.
  const LoraAdapter* adapter() const { return adapter_ ? &*adapter_ : nullptr; }
  const WeightsFolder& folder() const { return folder_; }
  /// Whether the decoder was saved without the model around it, so that its names lack "model.".
  bool trunk_is_bare() const { return trunk_is_bare_; }

  /// What an adapter's own tensors change of the base's config: the size of the vocabulary, where
  /// tokens were added to it, and whether the LM head is the embedding.
  void apply_adapter(DecoderConfig& config) const;

  /// What the tensors outside of blocks say about the head.
  HeadEvidence head_evidence(const ModelSource& source) const;

 private:
  void add_trunk_prefix();

  WeightsFolder folder_;
  std::optional<LoraAdapter> adapter_;
  std::unique_ptr<WeightsFile> adapter_head_;  ///< a head's file in the adapter's folder
  std::map<std::string, StoredTensor> tensors_;
  bool trunk_is_bare_ = false;
};

}  // namespace charm::engine
