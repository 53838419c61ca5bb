#include "charm/hub/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "charm/base/error.h"
#include "charm/base/strings.h"

namespace charm::hub {
namespace {

struct UrlCleanup {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;

std::string part_of(CURLU* handle, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, part, &text, flags) != CURLUE_OK || text == nullptr) return "";
  std::string value = text;
  curl_free(text);
  return value;
}

/// Null unless `text` is an absolute http(s) URL with a host.
UrlHandle parsed(const std::string& text) {
  UrlHandle handle(curl_url());
  if (handle == nullptr || curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return nullptr;
  const std::string scheme = part_of(handle.get(), CURLUPART_SCHEME);
  if ((scheme != "http" && scheme != "https") || part_of(handle.get(), CURLUPART_HOST).empty())
    return nullptr;
  return handle;
}

Url parts_of(CURLU* handle) {
  Url url{.scheme = part_of(handle, CURLUPART_SCHEME),
          .host = part_of(handle, CURLUPART_HOST),
          .port = std::stoi(part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT)),
          .path = part_of(handle, CURLUPART_PATH)};
  url.host = lower_ascii(url.host);
  return url;
}

}  // namespace

Url parse_url(const std::string& text) {
  const UrlHandle handle = parsed(text);
  if (handle == nullptr) {
    throw Error(ErrorKind::kUsage, "'{}' is not a URL; expected http://HOST[:PORT] or https://HOST",
                redacted_url(text));
  }
  return parts_of(handle.get());
}

bool same_origin(const std::string& a, const std::string& b) {
  const UrlHandle first = parsed(a), second = parsed(b);
  if (first == nullptr || second == nullptr) return false;
  const Url x = parts_of(first.get()), y = parts_of(second.get());
  return x.scheme == y.scheme && x.host == y.host && x.port == y.port;
}

std::string redacted_url(const std::string& url) {
  const std::size_t end = url.find_first_of("?#");
  std::string redacted = url.substr(0, end);
  const std::size_t start = redacted.find("://");
  if (start == std::string::npos) return redacted;
  const std::size_t host = start + 3, slash = redacted.find('/', host);
  const std::size_t at = redacted.rfind('@', slash);
  if (at != std::string::npos && at >= host) redacted.erase(host, at - host + 1);
  return redacted;
}

std::string escape_path(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= 'a' && byte <= 'z') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    escaped += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return escaped;
}

}  // namespace charm::hub
