#include "charm/base/error.h"
#include "charm/engine/families/family.h"

namespace charm::engine {
namespace {

constexpr const Family* kFamilies[] = {
    &kLlama, &kMistral, &kQwen2,   &kQwen3,    &kGemma,  &kGemma2, &kGemma3,    &kGemma4,
    &kOlmo2, &kOlmo3,   &kMixtral, &kQwen3Moe, &kQwen35, &kPhi3,   &kInternLm2, &kDebertaV2};

}  // namespace

std::span<const Family* const> all_families() { return kFamilies; }

const Family* find_family(std::string_view architecture) {
  if (architecture.empty()) return nullptr;
  for (const Family* family : kFamilies) {
    if (architecture == family->sequence_classifier || architecture == family->causal_lm)
      return family;
  }
  return nullptr;
}

const Family& family_of_type(std::string_view model_type) {
  for (const Family* family : kFamilies) {
    if (model_type == family->model_type) return *family;
  }
  throw Error(ErrorKind::kInternal, "no family of model type '{}'", model_type);
}

}  // namespace charm::engine
