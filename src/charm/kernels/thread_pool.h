#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

// The thread pool of this folder's kernels. Its workers outlive a call: a GEMV takes some tens of
// microseconds, less than waking a blocked thread costs. An idle worker spins for about a hundred
// microseconds, then blocks; OpenMP offers only active or passive waiting (decision 0032).
namespace charm::kernels {

/// Size of the pool, the calling thread included. Default: the processors available to this
/// process. Must not be called while kernels run.
void set_num_threads(std::int64_t threads);
std::int64_t num_threads();

namespace internal {
using Task = void (*)(const void* body, std::int64_t task);
void parallel_run(std::int64_t num_tasks, Task task, const void* body);
}  // namespace internal

/// Calls body(0) .. body(num_tasks - 1) concurrently; serially when nested in a task or while
/// another caller holds the pool. Returns when all have ended; rethrows the first exception.
template <typename Body>
void parallel_run(std::int64_t num_tasks, const Body& body) {
  internal::parallel_run(
      num_tasks, [](const void* b, std::int64_t task) { (*static_cast<const Body*>(b))(task); },
      &body);
}

/// Static schedule: calls body(begin, end) on ranges of 0 .. count - 1 of at least `grain` indices,
/// one per thread.
template <typename Body>
void parallel_for_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t num_tasks = std::min(num_threads(), (count + grain - 1) / grain);
  if (num_tasks <= 1) {
    if (count > 0) body(std::int64_t{0}, count);
    return;
  }
  parallel_run(num_tasks, [&](std::int64_t task) {
    body(count * task / num_tasks, count * (task + 1) / num_tasks);
  });
}

/// Dynamic schedule over 0 .. count - 1, for iterations of unequal cost. `make_body()` runs once
/// per thread and returns the function that is called with each index, so that it can hold the
/// thread's scratch memory.
template <typename MakeBody>
void parallel_for_dynamic(std::int64_t count, const MakeBody& make_body) {
  std::atomic<std::int64_t> next{0};
  parallel_run(std::min(count, num_threads()), [&](std::int64_t) {
    std::int64_t i = next.fetch_add(1);
    if (i >= count) return;
    auto body = make_body();
    for (; i < count; i = next.fetch_add(1)) body(i);
  });
}

}  // namespace charm::kernels
