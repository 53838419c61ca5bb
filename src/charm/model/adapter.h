#pragma once

#include <filesystem>

#include "charm/base/option_table.h"

namespace charm::model {

/// What happens to a PEFT adapter in a model's folder. It cannot be applied yet.
enum class AdapterChoice {
  kRefuse,  ///< nobody has chosen: with the adapter and without it scores differ
  kNone,    ///< the weights are used without it
};

/// `--adapter`.
void describe_adapter(OptionTable& table, AdapterChoice& adapter);

/// Whether the folder holds an adapter (adapter_config.json, adapter_model.safetensors or
/// adapter_model.bin) beside its weights, which `choice` leaves out. Throws kInput where it holds
/// one and `choice` is kRefuse, and where it holds one and no weights.
///
/// transformers 5.17 applies such an adapter in from_pretrained when peft is installed, and loads
/// the weights alone, without a word, when it is not.
bool leave_out_adapter(const std::filesystem::path& model_dir, AdapterChoice choice);

}  // namespace charm::model
