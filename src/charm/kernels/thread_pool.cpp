#include "charm/kernels/thread_pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "charm/base/parallel.h"

namespace charm::kernels {
namespace {

/// About a hundred microseconds.
constexpr int kSpinIterations = 4000;

void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// A counter that one thread waits on.
///
/// It spins and then blocks in a futex of its own: std::atomic::wait (libstdc++) calls sched_yield
/// four times before it blocks, which hands the processor to other programs for milliseconds, while
/// a blocked thread that is woken is scheduled at once.
class Counter {
 public:
  std::uint32_t load() const { return value_.load(std::memory_order_acquire); }
  void store(std::uint32_t value) { value_.store(value, std::memory_order_relaxed); }

  /// Returns the value before.
  std::uint32_t add(std::uint32_t difference) { return value_.fetch_add(difference); }

  /// Wakes the waiting thread if it is blocked.
  void wake() {
    if (blocked_.load()) ::syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

  /// Returns when the counter differs from `value`.
  void wait(std::uint32_t value) {
    for (int i = 0; i < kSpinIterations; ++i) {
      if (load() != value) return;
      cpu_pause();
    }
    blocked_.store(true);  // before the counter is read again: `wake` sees it, or `add` is seen
    while (value_.load() == value)
      ::syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
    blocked_.store(false);
  }

 private:
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t), "a futex is 32 bits");
  std::atomic<std::uint32_t> value_{0};
  std::atomic<bool> blocked_{false};
};

/// Nested tasks run serially.
// Aligned as the sections after it: where a program's text ends in the last bytes of a page,
// mold 1.10 else begins RELRO on a page of its own with .tbss, which is not mapped, and the program
// does not start.
alignas(void*) thread_local bool inside_task = false;

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
  Counter calls;  ///< incremented with every task handed to this worker
  Call* call = nullptr;
  std::int64_t task = 0;
};

class ThreadPool {
 public:
  /// Never destroyed: its workers block until the process ends.
  static ThreadPool& instance() {
    static auto& pool = *new ThreadPool;
    return pool;
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
    if (num_workers > 0) num_unfinished_.store(static_cast<std::uint32_t>(num_workers));
    for (std::int64_t h = 0; h < num_workers; ++h) {
      Worker& worker = *workers_[static_cast<std::size_t>(h)];
      worker.call = &call;
      worker.task = h + 1;
      worker.calls.add(1);
      worker.calls.wake();
    }
    if (num_tasks > 0) call.run(0);
    for (std::int64_t rest = num_workers + 1; rest < num_tasks; ++rest) call.run(rest);
    if (num_workers > 0) {
      for (std::uint32_t left = num_unfinished_.load(); left != 0; left = num_unfinished_.load())
        num_unfinished_.wait(left);
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
      // NOLINTNEXTLINE(bugprone-empty-catch): fewer workers share the tasks
    } catch (const std::system_error&) {
    }
    return std::min(wanted, static_cast<std::int64_t>(workers_.size()));
  }

  [[noreturn]] void work(Worker& worker) {
    for (std::uint32_t done = 0;; ++done) {
      worker.calls.wait(done);
      worker.call->run(worker.task);
      if (num_unfinished_.add(static_cast<std::uint32_t>(-1)) == 1) num_unfinished_.wake();
    }
  }

  std::atomic<std::int64_t> num_threads_{static_cast<std::int64_t>(available_processors())};
  std::mutex busy_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Counter num_unfinished_;
};

}  // namespace

void set_num_threads(std::int64_t threads) { ThreadPool::instance().set_num_threads(threads); }
std::int64_t num_threads() { return ThreadPool::instance().num_threads(); }

void internal::parallel_run(std::int64_t num_tasks, Task task, const void* body) {
  ThreadPool::instance().run(num_tasks, task, body);
}

}  // namespace charm::kernels
