#include "charm/kernels/task_team.h"

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "charm/base/parallel.h"

namespace charm::kernels {
namespace {

/// About a hundred microseconds. Giving way (sched_yield) between looking and sleeping would hand a
/// processor to other programs for milliseconds; a sleeper that is woken gets it back at once.
constexpr int kLooks = 4000;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Returns when `counter` is no longer `value`.
void wait_while(const std::atomic<std::uint32_t>& counter, std::uint32_t value) {
  const auto changed = [&] { return counter.load(std::memory_order_acquire) != value; };
  for (int i = 0; i < kLooks; ++i) {
    if (changed()) return;
    pause_briefly();
  }
  counter.wait(value, std::memory_order_acquire);
}

/// Parts run inside a part run one after the other.
thread_local bool inside_part = false;

/// The parts of one call.
struct Call {
  internal::Part part;
  const void* body;
  std::atomic<bool> failed{false};
  std::exception_ptr failure{};  ///< of the thread that set `failed`

  void run(std::int64_t index) {
    const bool before = std::exchange(inside_part, true);
    try {
      part(body, index);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
    inside_part = before;
  }
};

struct alignas(128) Helper {
  std::atomic<std::uint32_t> calls{0};  ///< grows with every part given to this thread
  Call* call = nullptr;
  std::int64_t part = 0;
};

class Team {
 public:
  /// Never destroyed: its threads may wait until the process ends.
  static Team& instance() {
    static Team* const team = new Team;
    return *team;
  }

  std::int64_t num_threads() const { return num_threads_.load(std::memory_order_relaxed); }
  void set_num_threads(std::int64_t threads) {
    num_threads_.store(std::max<std::int64_t>(1, threads), std::memory_order_relaxed);
  }

  void run(std::int64_t parts, internal::Part part, const void* body) {
    Call call{part, body};
    std::unique_lock lock(busy_, std::defer_lock);
    const std::int64_t helpers =
        parts > 1 && !inside_part && lock.try_lock() ? have_helpers(parts - 1) : 0;
    if (helpers > 0)
      unfinished_.store(static_cast<std::uint32_t>(helpers), std::memory_order_relaxed);
    for (std::int64_t h = 0; h < helpers; ++h) {
      Helper& helper = *helpers_[static_cast<std::size_t>(h)];
      helper.call = &call;
      helper.part = h + 1;
      helper.calls.fetch_add(1, std::memory_order_release);
      helper.calls.notify_one();
    }
    if (parts > 0) call.run(0);
    for (std::int64_t rest = helpers + 1; rest < parts; ++rest) call.run(rest);
    if (helpers > 0) {
      for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
           left = unfinished_.load(std::memory_order_acquire))
        wait_while(unfinished_, left);
    }
    if (call.failure) std::rethrow_exception(call.failure);
  }

 private:
  /// How many of the wanted threads there are; starts those that are missing.
  std::int64_t have_helpers(std::int64_t wanted) {
    try {
      while (static_cast<std::int64_t>(helpers_.size()) < wanted) {
        auto helper = std::make_unique<Helper>();
        std::thread([this, h = helper.get()] { work(*h); }).detach();
        helpers_.push_back(std::move(helper));
      }
    } catch (const std::system_error&) {  // the system gives no more threads: fewer do the same
    }
    return std::min(wanted, static_cast<std::int64_t>(helpers_.size()));
  }

  [[noreturn]] void work(Helper& helper) {
    for (std::uint32_t done = 0;; ++done) {
      wait_while(helper.calls, done);
      helper.call->run(helper.part);
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    }
  }

  std::atomic<std::int64_t> num_threads_{static_cast<std::int64_t>(available_processors())};
  std::mutex busy_;
  std::vector<std::unique_ptr<Helper>> helpers_;
  std::atomic<std::uint32_t> unfinished_{0};
};

}  // namespace

void set_num_threads(std::int64_t threads) { Team::instance().set_num_threads(threads); }
std::int64_t num_threads() { return Team::instance().num_threads(); }

void internal::run_parts(std::int64_t parts, Part part, const void* body) {
  Team::instance().run(parts, part, body);
}

}  // namespace charm::kernels
