#include "charm/kernels/thread_pool.h"

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "charm/base/parallel.h"

namespace charm::kernels {
namespace {

/// About a hundred microseconds. A sched_yield between spinning and blocking would hand the
/// processor to other programs for milliseconds; a blocked thread that is woken is scheduled at
/// once.
constexpr int kSpinIterations = 4000;

void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Spins until `counter` differs from `value`, then blocks on it.
void spin_then_block(const std::atomic<std::uint32_t>& counter, std::uint32_t value) {
  const auto changed = [&] { return counter.load(std::memory_order_acquire) != value; };
  for (int i = 0; i < kSpinIterations; ++i) {
    if (changed()) return;
    cpu_pause();
  }
  counter.wait(value, std::memory_order_acquire);
}

/// Nested tasks run serially.
thread_local bool inside_task = false;

/// One `parallel_run` call.
struct Call {
  internal::Task task;
  const void* body;
  std::atomic<bool> failed{false};
  std::exception_ptr failure{};  ///< set by the thread that set `failed`

  void run(std::int64_t index) {
    const bool before = std::exchange(inside_task, true);
    try {
      task(body, index);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
    inside_task = before;
  }
};

struct alignas(128) Worker {
  std::atomic<std::uint32_t> calls{0};  ///< incremented with every task handed to this worker
  Call* call = nullptr;
  std::int64_t task = 0;
};

class ThreadPool {
 public:
  /// Never destroyed: its workers block until the process ends.
  static ThreadPool& instance() {
    static ThreadPool* const pool = new ThreadPool;
    return *pool;
  }

  std::int64_t num_threads() const { return num_threads_.load(std::memory_order_relaxed); }
  void set_num_threads(std::int64_t threads) {
    num_threads_.store(std::max<std::int64_t>(1, threads), std::memory_order_relaxed);
  }

  void run(std::int64_t num_tasks, internal::Task task, const void* body) {
    Call call{task, body};
    std::unique_lock lock(busy_, std::defer_lock);
    const std::int64_t num_workers =
        num_tasks > 1 && !inside_task && lock.try_lock() ? ensure_workers(num_tasks - 1) : 0;
    if (num_workers > 0)
      num_unfinished_.store(static_cast<std::uint32_t>(num_workers), std::memory_order_relaxed);
    for (std::int64_t h = 0; h < num_workers; ++h) {
      Worker& worker = *workers_[static_cast<std::size_t>(h)];
      worker.call = &call;
      worker.task = h + 1;
      worker.calls.fetch_add(1, std::memory_order_release);
      worker.calls.notify_one();
    }
    if (num_tasks > 0) call.run(0);
    for (std::int64_t rest = num_workers + 1; rest < num_tasks; ++rest) call.run(rest);
    if (num_workers > 0) {
      for (std::uint32_t left = num_unfinished_.load(std::memory_order_acquire); left != 0;
           left = num_unfinished_.load(std::memory_order_acquire))
        spin_then_block(num_unfinished_, left);
    }
    if (call.failure) std::rethrow_exception(call.failure);
  }

 private:
  /// Starts missing workers; returns how many of the wanted ones exist.
  std::int64_t ensure_workers(std::int64_t wanted) {
    try {
      while (static_cast<std::int64_t>(workers_.size()) < wanted) {
        auto worker = std::make_unique<Worker>();
        std::thread([this, h = worker.get()] { work(*h); }).detach();
        workers_.push_back(std::move(worker));
      }
    } catch (
        const std::system_error&) {  // no more threads available: fewer workers share the tasks
    }
    return std::min(wanted, static_cast<std::int64_t>(workers_.size()));
  }

  [[noreturn]] void work(Worker& worker) {
    for (std::uint32_t done = 0;; ++done) {
      spin_then_block(worker.calls, done);
      worker.call->run(worker.task);
      if (num_unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        num_unfinished_.notify_one();
    }
  }

  std::atomic<std::int64_t> num_threads_{static_cast<std::int64_t>(available_processors())};
  std::mutex busy_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::uint32_t> num_unfinished_{0};
};

}  // namespace

void set_num_threads(std::int64_t threads) { ThreadPool::instance().set_num_threads(threads); }
std::int64_t num_threads() { return ThreadPool::instance().num_threads(); }

void internal::parallel_run(std::int64_t num_tasks, Task task, const void* body) {
  ThreadPool::instance().run(num_tasks, task, body);
}

}  // namespace charm::kernels
