#pragma once

#include <string>
#include <string_view>

namespace charm::hub {

/// The parts of an http or https address that decide who is asked.
struct Url {
  std::string scheme;
  std::string host;  ///< in lower case
  int port = 0;      ///< the scheme's own where the address names none
  std::string path;  ///< "/" at least
};

/// Throws kUsage for anything that is no http or https address.
Url parse_url(const std::string& text);

/// Scheme, host and port are the same: what a secret may be sent to.
bool same_origin(const std::string& a, const std::string& b);

/// `target` of a Location header, seen from `base`. Throws kNetwork where it is no http or https
/// address.
std::string resolve_url(const std::string& base, const std::string& target);

/// The address without user name, password and query: what messages may show.
std::string shown_url(const std::string& url);

/// `text` percent-encoded but for unreserved characters and `/`.
std::string escape_path(std::string_view text);

}  // namespace charm::hub
