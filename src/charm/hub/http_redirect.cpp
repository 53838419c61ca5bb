#include "charm/hub/http_redirect.h"

#include "charm/base/error.h"
#include "charm/hub/url.h"

namespace charm::hub {
namespace {

constexpr int kMaxRedirects = 10;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

HttpTarget first_target(const HttpRequest& request) {
  return {.url = request.url,
          .method = request.method,
          .with_token = !request.bearer_token.empty(),
          .num_redirects = 0};
}

std::optional<HttpTarget> next_target(const HttpRequest& request, const HttpTarget& now,
                                      const HttpResponse& response) {
  if (request.redirects == Redirects::kNone || !is_redirect(response.status) ||
      !response.error.empty())
    return std::nullopt;
  const std::string_view location = response.header("location");
  if (location.empty()) return std::nullopt;
  HttpTarget next = now;
  next.url = resolve_url(now.url, std::string(location));
  if (request.redirects == Redirects::kSameHost && !same_origin(now.url, next.url))
    return std::nullopt;
  if (now.num_redirects >= kMaxRedirects) {
    throw Error(ErrorKind::kNetwork, "{}: more than {} redirects", shown_url(request.url),
                kMaxRedirects);
  }
  if (now.url.starts_with("https:") && next.url.starts_with("http:")) {
    throw Error(ErrorKind::kNetwork, "{}: redirects to '{}' without encryption; not followed",
                shown_url(now.url), shown_url(next.url));
  }
  ++next.num_redirects;
  // Once elsewhere, the token does not come back: who redirected here might be told by whoever it
  // met there.
  next.with_token = now.with_token && same_origin(now.url, next.url);
  if (response.status == 303 && now.method == "POST") next.method = "GET";
  return next;
}

}  // namespace charm::hub
