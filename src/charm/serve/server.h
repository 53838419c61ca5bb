#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "charm/serve/serve_options.h"

namespace charm::serve {

/// Where a server listens.
struct Listening {
  std::string url;
  std::string model;  ///< its name in replies
};

/// `charm serve`: loads the model and serves until SIGTERM or SIGINT; requests in flight are then
/// answered. Checks port, key, calibration before it loads the model. Throws kNetwork if the port
/// is in use.
/// @param on_listening  called once requests are accepted
void serve(const ServeOptions& options, const std::function<void(const Listening&)>& on_listening);

}  // namespace charm::serve
