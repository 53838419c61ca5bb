#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

// The threads that this folder computes with. They stay between calls: a product of one row takes
// some tens of microseconds, less than waking a sleeping thread costs. A waiting thread looks for
// new work for about a hundred microseconds, then sleeps; OpenMP's threads know only spinning or
// sleeping at once (decision 0032).
namespace charm::kernels {

/// How many threads compute, the caller among them. At first: the processors this process may use.
/// Not while kernels run.
void set_num_threads(std::int64_t threads);
std::int64_t num_threads();

namespace internal {
using Part = void (*)(const void* body, std::int64_t part);
void run_parts(std::int64_t parts, Part part, const void* body);
}  // namespace internal

/// Calls body(0) .. body(parts - 1), side by side where threads are free: inside a part, and while
/// another caller has the team, one after the other. Returns when all have ended; throws what a
/// part has thrown first.
template <typename Body>
void run_parts(std::int64_t parts, const Body& body) {
  internal::run_parts(
      parts, [](const void* b, std::int64_t part) { (*static_cast<const Body*>(b))(part); }, &body);
}

/// Calls body(begin, end) on stretches of 0 .. count - 1 that hold at least `grain`.
template <typename Body>
void run_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t parts = std::min(num_threads(), (count + grain - 1) / grain);
  if (parts <= 1) {
    if (count > 0) body(std::int64_t{0}, count);
    return;
  }
  run_parts(parts,
            [&](std::int64_t part) { body(count * part / parts, count * (part + 1) / parts); });
}

/// Runs tasks 0 .. count - 1, each thread taking the next one when it is done: for tasks that
/// differ in length. `make_worker()` is called once on each thread and returns what is called with
/// a task's number, so it can hold the thread's memory.
template <typename MakeWorker>
void run_tasks(std::int64_t count, const MakeWorker& make_worker) {
  std::atomic<std::int64_t> next{0};
  run_parts(std::min(count, num_threads()), [&](std::int64_t) {
    std::int64_t i = next.fetch_add(1);
    if (i >= count) return;
    auto worker = make_worker();
    for (; i < count; i = next.fetch_add(1)) worker(i);
  });
}

}  // namespace charm::kernels
