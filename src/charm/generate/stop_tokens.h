#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <vector>

#include "charm/text/chat_template.h"
#include "charm/text/tokenizer.h"

namespace charm::generate {

/// Tokens that end a response: eos_token_id of generation_config.json and of config.json (one id or
/// a list), the tokenizer's eos_token, and the token that ends a turn in the model's own template
/// (`<|eot_id|>`, `<|im_end|>`, `<end_of_turn>`, ...), which many model folders forget to name.
/// Throws kInput when generation_config.json is not what it must be.
std::set<std::int32_t> find_stop_tokens(const std::filesystem::path& model_dir,
                                        const std::vector<std::int32_t>& config_eos,
                                        const text::Tokenizer& tokenizer,
                                        const text::ChatTemplate& chat_template);

}  // namespace charm::generate
