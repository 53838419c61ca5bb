#pragma once

#include <memory>

#include "charm/generate/generation.h"
#include "charm/generate/server_options.h"

namespace charm::generate {

/// Asks every server whether it is there and serves the model; those that are not are asked again
/// later, as long as one is. `generate` keeps `concurrency` requests in flight per server in the
/// calling thread; a server that fails is left out until it answers again, and its requests go to
/// the others. Requests carry a seed made of (seed, prompt_id, sample): whether the same seed gives
/// the same text is the server's affair.
///
/// Throws kUsage for a wrong address, an unknown model or options that contradict each other,
/// kNetwork where no server is there (naming each, and what was tried) or a server refuses the key.
std::unique_ptr<Generator> make_server_generator(const ServerOptions& options);

}  // namespace charm::generate
