#pragma once

#include <string>

namespace charm {

/// This process, as others on the same machine may look for it: "<boot id> <pid namespace> <pid>
/// <start time>", from Linux's /proc. Empty where /proc says too little.
std::string process_identity();

/// Whether the process of that identity is known to have ended: it was one of this machine and pid
/// namespace, and no longer runs (a zombie counts as ended). False where that cannot be known.
bool has_ended(const std::string& identity);

}  // namespace charm
