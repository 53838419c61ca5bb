#include "charm/model/families/family.h"
#include "charm/model/families/llama.h"

namespace charm::model {
namespace {

constexpr const Family* kFamilies[] = {&kLlama};

}  // namespace

std::span<const Family* const> all_families() { return kFamilies; }

const Family* find_family(std::string_view architecture) {
  for (const Family* family : kFamilies) {
    if (architecture == family->sequence_classifier || architecture == family->causal_lm)
      return family;
  }
  return nullptr;
}

}  // namespace charm::model
