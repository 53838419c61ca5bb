#pragma once

#include <cstddef>
#include <functional>

namespace charm {

/// Runs body(i) for i in [0, count) on up to `num_threads` threads (0: all processors). After
/// an exception no further i is begun; when all threads have been joined, that of the smallest i is
/// rethrown, so that it does not depend on timing. The assignment of i to threads is unspecified:
/// bodies must not write to shared state.
void parallel_for(std::size_t count, std::size_t num_threads,
                  const std::function<void(std::size_t)>& body);

/// Processors this process may use (its affinity mask), at least 1.
std::size_t available_processors();

}  // namespace charm
