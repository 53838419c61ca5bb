#include "charm/hub/retry.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "charm/base/log.h"
#include "charm/hub/url.h"

namespace charm::hub {
namespace {

using std::chrono::milliseconds;

/// The message of an error body of OpenAI-like servers ({"error": {"message"}}, {"message"},
/// {"detail"}) or of the Hub ({"error": "..."}); empty for anything else.
std::string error_message_of(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return "";
  for (const char* name : {"error", "message", "detail"}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("message") && (*found)["message"].is_string()) {
      return (*found)["message"].get<std::string>();
    }
  }
  return "";
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  constexpr std::size_t kMost = 200;
  if (text.size() > kMost) {
    std::size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
    text += "...";
  }
  return text;
}

}  // namespace

bool is_transient(const HttpResponse& response) {
  if (!response.error.empty()) return true;
  switch (response.status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

milliseconds retry_delay(const RetryPolicy& policy, int attempt, const HttpResponse& response,
                         RandomStream& random) {
  const double whole = std::min(static_cast<double>(policy.first_delay.count()) *
                                    static_cast<double>(1LL << std::clamp(attempt, 0, 30)),
                                static_cast<double>(policy.max_delay.count()));
  const milliseconds backoff(static_cast<std::int64_t>(whole * (0.5 + 0.5 * random.uniform())));
  if (response.retry_after.count() == 0) return backoff;
  const milliseconds jitter(static_cast<std::int64_t>(
      static_cast<double>(policy.first_delay.count()) * (0.5 + 0.5 * random.uniform())));
  return std::min<milliseconds>(response.retry_after, policy.max_delay) + jitter;
}

std::string describe(const HttpResponse& response) {
  if (!response.error.empty()) {
    return response.status == 0 ? response.error
                                : fmt::format("HTTP {}, then {}", response.status, response.error);
  }
  std::string message = error_message_of(response.body);
  if (message.empty()) {
    const std::size_t start = response.body.find_first_not_of(" \t\r\n");
    const bool html = start != std::string::npos && response.body[start] == '<';
    message = html ? "an HTML page" : response.body;
  }
  return message.empty() ? fmt::format("HTTP {}", response.status)
                         : fmt::format("HTTP {}: {}", response.status, one_line(message));
}

HttpResponse send_with_retries(HttpClient& client, const HttpRequest& request,
                               const RetryPolicy& policy, RandomStream& random) {
  for (int attempt = 0;; ++attempt) {
    HttpResponse response = client.send(request);
    if (!is_transient(response) || attempt >= policy.max_retries) return response;
    const milliseconds delay = retry_delay(policy, attempt, response, random);
    log::debug("{}: {}; retrying in {} ms", redacted_url(request.url), describe(response),
               delay.count());
    std::this_thread::sleep_for(delay);
  }
}

}  // namespace charm::hub
