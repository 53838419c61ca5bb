#include "charm/generate/stop_tokens.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "charm/base/error.h"

namespace charm::generate {
namespace {

constexpr std::string_view kTurnEnds[] = {"<|eot_id|>", "<|im_end|>", "<end_of_turn>",
                                          "<|end|>",    "<|eom_id|>", "<|END_OF_TURN_TOKEN|>"};

}  // namespace

std::set<std::int32_t> find_stop_tokens(const std::filesystem::path& model_dir,
                                        const std::vector<std::int32_t>& config_eos,
                                        const text::Tokenizer& tokenizer,
                                        const text::ChatTemplate& chat_template) {
  std::set<std::int32_t> ends(config_eos.begin(), config_eos.end());
  const nlohmann::json config = text::read_config(model_dir, "generation_config.json");
  const nlohmann::json eos = config.value("eos_token_id", nlohmann::json());
  const nlohmann::json ids = eos.is_array() || eos.is_null() ? eos : nlohmann::json::array({eos});
  for (const nlohmann::json& id : ids) {
    if (!id.is_number_integer()) {
      throw Error(ErrorKind::kInput,
                  "{}: eos_token_id holds {}, expected a token id or a list of them",
                  (model_dir / "generation_config.json").string(), id.dump());
    }
    ends.insert(id.get<std::int32_t>());
  }
  const text::SpecialTokens& specials = chat_template.special_tokens();
  if (const auto named = specials.find("eos_token"); named != specials.end()) {
    if (const auto id = tokenizer.token_to_id(named->second)) ends.insert(*id);
  }
  for (const std::string_view token : kTurnEnds) {
    if (chat_template.source().find(token) == std::string::npos) continue;
    if (const auto id = tokenizer.token_to_id(token)) ends.insert(*id);
  }
  return ends;
}

}  // namespace charm::generate
