#pragma once

#include <optional>
#include <string>

#include "charm/hub/http_client.h"

namespace charm::hub {

/// What a request asks for now: at first itself, later what redirects named.
struct HttpTarget {
  std::string url;
  std::string method;
  bool with_token = false;  ///< `url` is of the origin that the token is for
  int num_redirects = 0;
};

HttpTarget first_target(const HttpRequest& request);

/// Where the request goes next, if `response` is a redirect that it follows. Throws kNetwork for
/// redirects without end and from https to http.
std::optional<HttpTarget> next_target(const HttpRequest& request, const HttpTarget& now,
                                      const HttpResponse& response);

}  // namespace charm::hub
