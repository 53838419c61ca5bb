#pragma once

#include <functional>
#include <string>

#include "charm/generate/server_options.h"
#include "charm/generate/server_protocol.h"
#include "charm/hub/http_client.h"

namespace charm::generate {

/// What a look at a server found.
struct ProbeResult {
  bool up = false;
  ServerKind kind = ServerKind::kOther;
  std::string trouble{};  ///< what was tried and what came
};

/// Asks for `base`/models and, where that is not offered, for /health, and calls `done` from
/// `client.run`. Throws (out of `run`) kUsage where the server serves other models only, kNetwork
/// where it refuses the key or is no such API: then waiting does not help.
void probe_server(hub::HttpClient& client, const ServerOptions& options, const std::string& base,
                  std::function<void(const ProbeResult&)> done);

}  // namespace charm::generate
