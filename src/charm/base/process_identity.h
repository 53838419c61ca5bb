#pragma once

#include <string>

namespace charm {

/// Identifies this process on its machine: "<boot id> <pid namespace> <pid> <start time>", from
/// Linux's /proc. Empty if /proc does not have them.
std::string process_identity();

/// Whether the process of that identity has certainly ended: it belongs to this machine and pid
/// namespace and no longer runs (a zombie counts as ended). False if unknown.
bool has_ended(const std::string& identity);

/// Whether the process of that identity is or was one of this machine, since it was last started.
bool is_of_this_machine(const std::string& identity);

/// Whether `has_ended` can know of it: it is or was one of this machine and pid namespace.
bool can_be_looked_up(const std::string& identity);

}  // namespace charm
