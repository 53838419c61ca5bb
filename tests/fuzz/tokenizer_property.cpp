#include "charm/base/files.h"
#include "charm/text/tokenizer.h"
#include "tests/fuzz/properties.h"
#include "tests/support/source_dir.h"

namespace charm::fuzz {
namespace {

using text::AddSpecialTokens;
using text::Tokenizer;

/// Ids are valid and deterministic.
void check_ids(const Tokenizer& tokenizer, std::string_view text) {
  for (const AddSpecialTokens specials : {AddSpecialTokens::kNo, AddSpecialTokens::kYes}) {
    const std::vector<std::int32_t> ids = tokenizer.encode(text, specials);
    require(tokenizer.encode(text, specials) == ids, "encoding is deterministic");
    for (const std::int32_t id : ids) require(id >= 0, "ids are not negative");
    tokenizer.decode(ids, /*skip_special_tokens=*/true);
  }
}

const Tokenizer& own(const char* name) {
  static std::vector<std::pair<std::string, Tokenizer>> tokenizers;
  for (const auto& [known, tokenizer] : tokenizers) {
    if (known == name) return tokenizer;
  }
  const std::filesystem::path folder =
      std::filesystem::path(charm::test::kSourceDir + std::string("/tests/data/tokenizers")) / name;
  return tokenizers.emplace_back(name, Tokenizer::load(folder)).second;
}

/// Byte-level tokenizers decode to the original text.
void check_text(std::string_view text) {
  for (const char* name : {"byte_bpe", "bos_bpe", "spm_bpe"}) check_ids(own(name), text);
  const Tokenizer& bytes = own("byte_bpe");
  require(bytes.decode(bytes.encode(text, AddSpecialTokens::kNo), /*skip_special_tokens=*/false) ==
              text,
          "byte-level round trip");
}

}  // namespace

bool tokenizer_property(std::string_view bytes) {
  const std::size_t separator = bytes.find('\0');
  return accepts([&] {
    if (separator == std::string_view::npos) {
      check_text(bytes);
    } else {
      check_ids(Tokenizer::from_json(bytes.substr(0, separator), "tokenizer.json"),
                bytes.substr(separator + 1));
    }
  });
}

}  // namespace charm::fuzz
