#include <algorithm>
#include <cctype>

#include "charm/base/error.h"
#include "charm/hub/hub_cache.h"

namespace charm::hub {
namespace {

constexpr std::string_view kPrefix = "hub:";

bool is_name(std::string_view text) {
  return !text.empty() && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

bool is_hub_source(std::string_view text) { return text.starts_with(kPrefix); }

HubSource parse_hub_source(std::string_view text) {
  const auto invalid = [&] {
    return Error(ErrorKind::kUsage,
                 "'{}' is not a Hub source; expected hub:OWNER/NAME, hub:OWNER/NAME@REVISION or "
                 "hub:OWNER/NAME/FILE",
                 text);
  };
  if (!is_hub_source(text)) throw invalid();
  std::string_view rest = text.substr(kPrefix.size());
  HubSource source;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    source.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (source.revision.empty() || source.revision.find("..") != std::string::npos) throw invalid();
  }
  const std::size_t first = rest.find('/');
  if (first == std::string_view::npos) {
    if (!is_name(rest)) throw invalid();
    source.repo = rest;
    return source;
  }
  const std::size_t second = rest.find('/', first + 1);
  if (!is_name(rest.substr(0, first)) ||
      !is_name(
          rest.substr(first + 1, second == std::string_view::npos ? second : second - first - 1))) {
    throw invalid();
  }
  source.repo = rest.substr(0, second);
  if (second != std::string_view::npos) {
    source.file = rest.substr(second + 1);
    if (source.file.empty() || source.file.find("..") != std::string::npos) throw invalid();
  }
  return source;
}

}  // namespace charm::hub
