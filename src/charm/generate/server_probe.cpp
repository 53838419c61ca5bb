#include "charm/generate/server_probe.h"

#include <algorithm>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"

namespace charm::generate {
namespace {

hub::HttpRequest look(const ServerOptions& options, const std::string& url) {
  hub::HttpRequest request;
  request.url = url;
  request.bearer_token = options.api_key;
  request.redirects = hub::Redirects::kSameHost;
  request.connect_timeout = std::chrono::milliseconds(5000);
  request.timeout = std::chrono::milliseconds(15000);
  return request;
}

bool is_html(const std::string& body) {
  const std::size_t start = body.find_first_not_of(" \t\r\n");
  return start != std::string::npos && body[start] == '<';
}

/// Throws kUsage unless one of the names is the model's.
void require_model(const ServerOptions& options, const std::string& url, const ModelList& list) {
  const auto same = [&](const std::string& name) { return is_same_model(options, name); };
  if (list.names.empty() || std::any_of(list.names.begin(), list.names.end(), same)) return;
  std::string names;
  for (const std::string& name : nearest_names(options.model, list.names, 5))
    names += (names.empty() ? "'" : ", '") + name + "'";
  throw Error(
      ErrorKind::kUsage,
      "{}: serves {}{}, not '{}'; give --server-model as the server names it, or --accept-model",
      url, names, list.names.size() > 5 ? ", ..." : "", options.model);
}

}  // namespace

void probe_server(hub::HttpClient& client, const ServerOptions& options, const std::string& base,
                  std::function<void(const ProbeResult&)> done) {
  const std::string url = base + "/models";
  client.start(look(options, url), [&client, &options, base, url,
                                    done = std::move(done)](hub::HttpResponse response) {
    const std::string shown = hub::redacted_url(url);
    const std::string tried = fmt::format("GET {}: {}", shown, hub::describe(response));
    if (!response.error.empty() || response.status >= 500 || response.status == 429)
      return done({.up = false, .trouble = tried});
    if (response.status == 401 || response.status == 403) {
      throw Error(ErrorKind::kNetwork, "{}; {}", tried,
                  options.api_key_env.empty()
                      ? "no API key was given: name the variable that holds it with --api-key-env"
                      : fmt::format("the key in {} is refused", options.api_key_env));
    }
    if (response.status >= 200 && response.status < 300) {
      if (is_html(response.body)) {
        throw Error(
            ErrorKind::kNetwork,
            "{}: answers with an HTML page; expected the model list of an OpenAI-compatible API",
            shown);
      }
      const ModelList list = read_model_list(response.body);
      require_model(options, shown, list);
      return done({.up = true, .kind = list.kind});
    }
    // No list of models: some servers and gateways have only a health page, or nothing.
    const std::string health = server_root(base) + "/health";
    client.start(look(options, health), [tried, health, done](hub::HttpResponse second) {
      if (second.error.empty() && second.status < 500) return done({.up = true});
      done({.up = false,
            .trouble = fmt::format("{}; GET {}: {}", tried, hub::redacted_url(health),
                                   hub::describe(second))});
    });
  });
}

}  // namespace charm::generate
