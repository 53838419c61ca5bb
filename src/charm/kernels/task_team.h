#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace charm::kernels {

/// Runs tasks 0 .. count-1 on ATen's threads, each thread taking the next one when it is done: for
/// tasks that differ in length. `make_worker()` is called once on each thread and returns what is
/// called with a task's number, so it can hold the thread's memory.
template <typename MakeWorker>
void run_tasks(std::int64_t count, const MakeWorker& make_worker) {
  std::atomic<std::int64_t> next{0};
  const std::int64_t threads = std::min<std::int64_t>(count, at::get_num_threads());
  at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
    auto worker = make_worker();
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) worker(i);
  });
}

}  // namespace charm::kernels
