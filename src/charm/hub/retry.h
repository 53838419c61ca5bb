#pragma once

#include <chrono>
#include <string>

#include "charm/base/random.h"
#include "charm/hub/http_client.h"

namespace charm::hub {

/// Retries with exponential backoff.
struct RetryPolicy {
  int max_retries = 5;                          ///< after the first attempt
  std::chrono::milliseconds first_delay{1000};  ///< doubles with every attempt
  std::chrono::milliseconds max_delay{60'000};  ///< also the upper bound of Retry-After
};

/// Whether a retry may succeed: transport errors, 408, 425, 429, 500, 502, 503, 504.
bool is_transient(const HttpResponse& response);

/// Exponential backoff with jitter: first_delay * 2^attempt up to max_delay, times a random factor
/// in [0.5, 1]. With a Retry-After header: that (up to max_delay) plus a random part of
/// first_delay.
std::chrono::milliseconds retry_delay(const RetryPolicy& policy, int attempt,
                                      const HttpResponse& response, RandomStream& random);

/// "HTTP 503: <error message of the body>" or the transport error, for messages: one line, at most
/// 200 bytes of the body.
std::string describe(const HttpResponse& response);

/// Retries while the response is transient, up to max_retries.
HttpResponse send_with_retries(HttpClient& client, const HttpRequest& request,
                               const RetryPolicy& policy, RandomStream& random);

}  // namespace charm::hub
