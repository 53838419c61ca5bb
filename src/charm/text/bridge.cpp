#include "charm/text/bridge.h"

#include <memory>

#include "charm/base/error.h"

namespace charm::text::bridge {

void require_abi() {
  if (charm_text_abi_version() != CHARM_TEXT_ABI_VERSION) {
    throw Error(ErrorKind::kInternal,
                "the linked libcharm_text has ABI version {}, this program was compiled for {}: "
                "rebuild both from the same sources",
                charm_text_abi_version(), CHARM_TEXT_ABI_VERSION);
  }
}

void check(charm_text_status status, std::string_view what) {
  if (status == CHARM_TEXT_OK) return;
  charm_text_string raw{nullptr, 0};
  std::string message = "no message";
  if (charm_text_last_error(&raw) == CHARM_TEXT_OK) message = take(raw);
  switch (status) {
    case CHARM_TEXT_REFUSED:
      throw Error(ErrorKind::kInput, "{}: the template refuses this conversation: {}", what,
                  message);
    case CHARM_TEXT_INVALID_UTF8:
    case CHARM_TEXT_INVALID_INPUT:
    case CHARM_TEXT_FAILED:
      throw Error(ErrorKind::kInput, "{}: {}", what, message);
    default:
      throw Error(ErrorKind::kInternal, "{}: the text bridge failed with status {}: {}", what,
                  status, message);
  }
}

std::string take(charm_text_string text) {
  const auto free_text = [&text](const char*) { charm_text_string_free(text); };
  const std::unique_ptr<const char, decltype(free_text)> owner(text.data, free_text);
  return std::string(text.data, text.length);
}

std::vector<std::int32_t> take(charm_text_ids ids) {
  const auto free_ids = [&ids](const std::int32_t*) { charm_text_ids_free(ids); };
  const std::unique_ptr<const std::int32_t, decltype(free_ids)> owner(ids.data, free_ids);
  return std::vector<std::int32_t>(ids.data, ids.data + ids.length);
}

}  // namespace charm::text::bridge
