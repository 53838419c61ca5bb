#pragma once

#include <string>
#include <string_view>

namespace charm::hub {

/// Components of an http or https URL.
struct Url {
  std::string scheme;
  std::string host;  ///< in lower case
  int port = 0;      ///< the scheme's default if the URL has none
  std::string path;  ///< at least "/"
};

/// Throws kUsage for anything but an http or https URL.
Url parse_url(const std::string& text);

/// Whether scheme, host and port are equal.
bool same_origin(const std::string& a, const std::string& b);

/// The URL without user name, password and query, for messages.
std::string redacted_url(const std::string& url);

/// Percent-encodes `text`, except unreserved characters and `/`.
std::string escape_path(std::string_view text);

}  // namespace charm::hub
