#include "tests/e2e/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>

#include "charm/base/files.h"

namespace charm::e2e {
namespace {

/// Standard output and error go to files, since a full pipe would block the process.
fs::path capture_file(const char* stream) {
  static std::atomic<int> counter{0};
  return fs::temp_directory_path() /
         ("charm-e2e-" + std::to_string(getpid()) + "-" + std::to_string(counter++) + stream);
}

[[noreturn]] void become_charm(const std::vector<std::string>& arguments, const RunSetup& setup,
                               const fs::path& out, const fs::path& err) {
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out_fd < 0 || err_fd < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
      dup2(err_fd, STDERR_FILENO) < 0)
    _exit(126);
  if (setup.max_file_bytes > 0) {
    const rlimit limit{static_cast<rlim_t>(setup.max_file_bytes),
                       static_cast<rlim_t>(setup.max_file_bytes)};
    std::signal(SIGXFSZ, SIG_IGN);  // the write fails with EFBIG instead
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
  }
  if (setup.max_address_bytes > 0) {
    const auto bytes = static_cast<rlim_t>(setup.max_address_bytes);
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(126);
  }
  std::signal(SIGINT, SIG_DFL);  // shells ignore it for background jobs
  for (const auto& [name, value] : setup.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : setup.launcher) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(const_cast<char*>(CHARM_PROGRAM));
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());  // charm itself has an absolute path
  _exit(127);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Outcome run_charm(const std::vector<std::string>& arguments, const RunSetup& setup) {
  const fs::path out = capture_file(".out"), err = capture_file(".err");
  const pid_t child = fork();
  if (child == 0) become_charm(arguments, setup, out, err);
  int status = 0;
  rusage used{};
  if (!setup.kill_when) {
    wait4(child, &status, 0, &used);
  } else {
    bool killed = false;
    while (wait4(child, &status, WNOHANG, &used) == 0) {
      if (!killed && setup.kill_when()) {
        kill(child, setup.kill_signal);
        killed = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  Outcome outcome{.code = exit_code_of(status),
                  .out = read_file(out),
                  .err = read_file(err),
                  .max_rss_bytes = used.ru_maxrss * 1024};
  fs::remove(out);
  fs::remove(err);
  return outcome;
}

RunningCharm::RunningCharm(const std::vector<std::string>& arguments, const RunSetup& setup)
    : out_(capture_file(".out")), err_(capture_file(".err")) {
  pid_ = fork();
  if (pid_ == 0) become_charm(arguments, setup, out_, err_);
}

RunningCharm::~RunningCharm() {
  if (!ended_) {
    kill(pid_, SIGKILL);
    wait();
  }
}

std::string RunningCharm::first_line() {
  for (;;) {
    const bool ended = has_ended();
    const std::string text = ended ? ended_->out : fs::exists(out_) ? read_file(out_) : "";
    const std::size_t end = text.find('\n');
    if (end != std::string::npos) return text.substr(0, end);
    if (ended) return "";
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void RunningCharm::send_signal(int signal) const {
  if (!ended_) kill(pid_, signal);
}

std::int64_t RunningCharm::rss_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  std::int64_t pages = 0, resident_pages = 0;
  file >> pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

Outcome RunningCharm::wait() {
  while (!has_ended()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return *ended_;
}

bool RunningCharm::has_ended() {
  if (ended_) return true;
  int status = 0;
  rusage used{};
  if (wait4(pid_, &status, WNOHANG, &used) == 0) return false;
  ended_ = Outcome{.code = exit_code_of(status),
                   .out = read_file(out_),
                   .err = read_file(err_),
                   .max_rss_bytes = used.ru_maxrss * 1024};
  fs::remove(out_);
  fs::remove(err_);
  return true;
}

std::vector<std::pair<std::string, std::string>> files_below(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files.emplace_back(entry.path().lexically_relative(folder).string(), read_file(entry.path()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace charm::e2e
