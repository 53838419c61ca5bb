#include "charm/base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace charm {

struct Interruptible::State {
  When when;
  std::string line;
  State* outer = nullptr;
  std::atomic<int> requested = 0;  ///< the signal that asked for a checkpoint
};

namespace {

// A handler of signals can look at nothing but globals. `innermost` is an Interruptible::State.
std::atomic<void*> innermost = nullptr;
std::string program_name;

std::string_view name_of(int signal) { return signal == SIGINT ? "SIGINT" : "SIGTERM"; }

/// write(2) alone is safe in a handler.
void print(std::string_view text) {
  const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(ignored);
}

void print_line(int signal, std::string_view text) {
  if (isatty(STDERR_FILENO) == 1) print("\n");  // below the progress bar
  for (const std::string_view part :
       {std::string_view(program_name), std::string_view(": "), name_of(signal),
        std::string_view(": "), text, std::string_view("\n")})
    print(part);
}

}  // namespace

void Interruptible::on_signal(int signal) {
  auto* state = static_cast<State*>(innermost.load());
  if (state != nullptr) {
    if (state->when == When::kAtCheckpoint && state->requested.exchange(signal) == 0) {
      print_line(signal, "a checkpoint follows this step; a second signal ends at once");
      return;
    }
    print_line(signal, state->when == When::kAtOnce ? std::string_view(state->line)
                                                    : "ended without a checkpoint");
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // delivered when the handler returns
}

void Interruptible::install_handlers(const std::string& program) {
  program_name = program;
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action{};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;  // as under nohup
    action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

Interruptible::Interruptible(When when, std::string line) : state_(std::make_unique<State>()) {
  state_->when = when;
  state_->line = std::move(line);
  state_->outer = static_cast<State*>(innermost.load());
  innermost = state_.get();
}

Interruptible::~Interruptible() { innermost = state_->outer; }

bool Interruptible::requested() const { return state_->requested != 0; }

void Interruptible::end() const { throw Interrupted(state_->requested, state_->line); }

void end_by_signal(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  std::abort();  // the signal is blocked
}

}  // namespace charm
