#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "charm/base/random.h"
#include "charm/hub/http_client.h"

namespace charm::hub {

/// How long to wait before a request is sent again.
struct RetryPolicy {
  int max_retries = 5;                          ///< after the first attempt
  std::chrono::milliseconds first_delay{1000};  ///< doubles with every attempt
  std::chrono::milliseconds max_delay{60'000};  ///< also bounds what a Retry-After may ask for
};

/// The same request may succeed later: no whole answer, 408, 425, 429, 500, 502, 503, 504.
bool is_transient(const HttpResponse& response);

/// What the Retry-After header asks for: seconds or a date, of which `now` is taken. Empty without
/// one.
std::optional<std::chrono::milliseconds> retry_after(const HttpResponse& response,
                                                     std::chrono::system_clock::time_point now);

/// first_delay * 2^attempt up to max_delay, of which a random half is taken off, so that many
/// clients do not come back together. Where the answer has a Retry-After: that (up to max_delay)
/// and a random part of first_delay.
std::chrono::milliseconds retry_delay(const RetryPolicy& policy, int attempt,
                                      const HttpResponse& response, RandomStream& random);

/// "HTTP 503: <the server's words>" or the transport's error, for messages: one line, at most 200
/// bytes of the body.
std::string describe(const HttpResponse& response);

/// Sends until the answer is not transient or the retries are used up.
HttpResponse ask_with_retries(HttpClient& client, const HttpRequest& request,
                              const RetryPolicy& policy, RandomStream& random);

}  // namespace charm::hub
