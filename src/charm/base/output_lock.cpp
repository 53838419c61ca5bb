#include "charm/base/output_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"

namespace charm {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kPoll{20};
/// What a takeover waits before it looks whether another host took the same lock over.
constexpr milliseconds kSettle{250};
constexpr const char* kTimeFormat = "%Y-%m-%dT%H:%M:%SZ";

[[noreturn]] void throw_errno(const fs::path& path, std::string_view what) {
  throw Error(ErrorKind::kIo, "{}: {}: {}", path.string(), what, std::strerror(errno));
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string utc_text(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), kTimeFormat, &parts);
  return text.data();
}

/// "12 s", "5 min", "3 h", "4 days".
std::string age_text(const std::string& since) {
  std::tm parts{};
  if (::strptime(since.c_str(), kTimeFormat, &parts) == nullptr) return "unknown";
  const auto age_s = std::max<std::int64_t>(0, std::time(nullptr) - ::timegm(&parts));
  if (age_s < 120) return fmt::format("{} s", age_s);
  if (age_s < 7200) return fmt::format("{} min", age_s / 60);
  return age_s < 172800 ? fmt::format("{} h", age_s / 3600) : fmt::format("{} days", age_s / 86400);
}

/// What a lock file says of the process that wrote it.
struct Owner {
  std::string pid = "?";
  std::string host = "?";
  std::string since = "?";
  std::string process;       ///< process_identity()
  bool kernel_lock = false;  ///< it held the kernel's lock
  bool known = false;        ///< the file was one of ours

  std::string text() const {
    return fmt::format("pid {}\nhost {}\nsince {}\nprocess {}\nflock {}\n", pid, host, since,
                       process, kernel_lock ? "yes" : "no");
  }
  /// The same for all locks of one process.
  std::string key() const { return pid + " " + host + " " + process; }
  bool is_on_this_machine() const {
    return process.empty() || process_identity().empty() ? host == host_name()
                                                         : is_of_this_machine(process);
  }
};

Owner parse_owner(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (space != std::string::npos) values[line.substr(0, space)] = line.substr(space + 1);
  }
  Owner owner;
  if (!values.contains("pid") || !values.contains("flock")) return owner;
  owner = {.pid = values["pid"],
           .host = values["host"],
           .since = values["since"],
           .process = values["process"],
           .kernel_lock = values["flock"] == "yes",
           .known = true};
  return owner;
}

Owner this_process(bool kernel_lock) {
  return {.pid = std::to_string(::getpid()),
          .host = host_name(),
          .since = utc_text(std::time(nullptr)),
          .process = process_identity(),
          .kernel_lock = kernel_lock,
          .known = true};
}

/// An open file; closing it frees the kernel's lock.
class File {
 public:
  explicit File(int fd = -1) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  std::string content() const {
    std::string text(4096, '\0');
    const ssize_t got = ::pread(fd_, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  bool write(const std::string& text) const {
    return ::ftruncate(fd_, 0) == 0 &&
           ::pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  }

 private:
  int fd_;
};

File open_file(const fs::path& path, int flags) {
  return File(::open(path.c_str(), flags | O_CLOEXEC, 0644));
}

/// Opened anew each time: NFS shows another host's changes to those who open a file.
struct Look {
  bool present = false;
  std::string content;
  timespec modified{};
  ino_t inode = 0;

  bool operator==(const Look& other) const {
    return present == other.present && content == other.content && inode == other.inode &&
           modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
  }
};

Look look_at(const fs::path& path) {
  const File file = open_file(path, O_RDONLY);
  struct stat facts{};
  if (!file.is_open() || ::fstat(file.fd(), &facts) != 0) return {};
  return {
      .present = true, .content = file.content(), .modified = facts.st_mtim, .inode = facts.st_ino};
}

enum class KernelLock { kHeld, kBusy, kUnsupported };

KernelLock lock_in_kernel(const File& file, const fs::path& path) {
  while (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return KernelLock::kBusy;
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK || errno == EINVAL)
      return KernelLock::kUnsupported;
    throw_errno(path, "cannot lock");
  }
  return KernelLock::kHeld;
}

/// One output's lock file.
class LockFile {
 public:
  /// @param gone  owners whose locks were taken over: watched and told of once, however many locks
  ///              they left
  LockFile(fs::path output, fs::path path, const OutputLockOptions& options,
           std::set<std::string>& gone)
      : output_(std::move(output)), path_(std::move(path)), options_(options), gone_(gone) {
    if (path_.has_parent_path()) create_folders(path_.parent_path());
    const auto deadline = Clock::now() + options_.wait;
    while (const std::optional<Owner> owner = take()) {
      if (Clock::now() >= deadline) throw refusal(*owner);
      std::this_thread::sleep_for(kPoll);
    }
  }
  ~LockFile() {
    if (!is_held()) return;
    ::unlink(path_.c_str());
    remove_if_empty(path_.parent_path());
  }
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  void beat() const { ::futimens(file_.fd(), nullptr); }
  bool is_held() const { return file_.is_open() && look_at(path_).content == text_; }
  const fs::path& output() const { return output_; }
  Error lost() const {
    const Owner owner = parse_owner(look_at(path_).content);
    return Error(ErrorKind::kIo,
                 "{}: its lock was taken over by pid {} on {} while this process was suspended; "
                 "the result is not written, so that two processes do not write one output",
                 output_.string(), owner.pid, owner.host);
  }

 private:
  enum class Fate {
    kAlive,
    kReleased,  ///< it removed its lock while it was watched
    kGone,      ///< its process has ended
    kSilent,    ///< no heartbeat for `patience`
  };

  /// Takes the lock, or says who has it.
  std::optional<Owner> take() {
    constexpr int kMaxRounds = 1000;  // each but the last saw the file disappear
    for (int round = 0; round < kMaxRounds; ++round) {
      File file = open_file(path_, O_RDWR | O_CREAT | O_EXCL);
      const bool created = file.is_open();
      if (!created && errno == EEXIST) {
        file = open_file(path_, O_RDWR);
        if (!file.is_open() && errno == ENOENT) continue;  // released in the meantime
      } else if (!created && errno == ENOENT) {
        create_folders(path_.parent_path());  // removed in the meantime
        continue;
      }
      if (!file.is_open()) throw_errno(path_, "cannot open the lock file");
      const KernelLock kernel =
          options_.kernel_lock ? lock_in_kernel(file, path_) : KernelLock::kUnsupported;
      if (kernel == KernelLock::kBusy) {
        if (const std::optional<Owner> owner = owner_who_writes()) return owner;
        continue;
      }
      if (!is_at_path(file)) continue;  // released in the meantime
      const bool held = kernel == KernelLock::kHeld;
      if (created || (held && file.content().empty())) {
        claim(std::move(file), held);
        return std::nullopt;
      }
      const Owner owner = parse_owner(file.content());
      const Fate fate = fate_of(owner, file.content(), held);
      if (fate == Fate::kReleased) continue;
      if (fate == Fate::kAlive) return parse_owner(look_at(path_).content);
      if (gone_.insert(owner.key()).second) tell_of_takeover(owner, fate);
      take_over(std::move(file), held);
      if (held && fate == Fate::kGone) return std::nullopt;
      // Where no kernel decides, several may have come to the same end: the last one to write has
      // it.
      std::this_thread::sleep_for(kSettle);
      if (is_held()) return std::nullopt;
      file_ = File();
      return parse_owner(look_at(path_).content);
    }
    throw Error(ErrorKind::kIo, "{}: cannot be locked: {} is there and cannot be opened",
                output_.string(), path_.string());
  }

  void tell_of_takeover(const Owner& owner, Fate fate) const {
    if (fate == Fate::kGone) {
      log::info("{}: pid {} of this host, started {}, has ended; its lock is taken over",
                output_.string(), owner.pid, owner.since);
    } else {
      log::warning("{}: pid {} on {}, started {}, gives no sign of life; its lock is taken over",
                   output_.string(), owner.pid, owner.host, owner.since);
    }
  }

  bool is_at_path(const File& file) const {
    struct stat open{}, there{};
    return ::fstat(file.fd(), &open) == 0 && ::stat(path_.c_str(), &there) == 0 &&
           open.st_ino == there.st_ino && open.st_dev == there.st_dev;
  }

  /// Of a file that the kernel says is locked; empty when it is released. A process locks first and
  /// writes its name then.
  std::optional<Owner> owner_who_writes() const {
    Owner owner;
    for (int i = 0; i < 25 && !owner.known; ++i) {
      const Look look = look_at(path_);
      if (!look.present) return std::nullopt;
      owner = parse_owner(look.content);
      if (!owner.known) std::this_thread::sleep_for(kPoll);
    }
    return owner;
  }

  Fate fate_of(const Owner& owner, const std::string& content, bool held) const {
    if (!owner.known && !content.empty()) {
      throw Error(ErrorKind::kIo,
                  "{}: is in the way: the lock of {} would have this name; rename it, or choose "
                  "another output",
                  path_.string(), output_.string());
    }
    if (owner.known && owner.is_on_this_machine()) {
      if (held && owner.kernel_lock) return Fate::kGone;  // the kernel has freed its lock
      if (can_be_looked_up(owner.process))
        return has_ended(owner.process) ? Fate::kGone : Fate::kAlive;
    }
    return gone_.contains(owner.key()) ? Fate::kSilent : watch(owner);
  }

  Fate watch(const Owner& owner) const {
    log::info("{}: locked by pid {} on {}; watching up to {} s for a sign of life",
              output_.string(), owner.pid, owner.host, options_.patience.count() / 1000);
    const Look before = look_at(path_);
    const auto end = Clock::now() + options_.patience;
    while (Clock::now() < end) {
      std::this_thread::sleep_for(std::max(kPoll, options_.patience / 30));
      const Look now = look_at(path_);
      if (!now.present) return Fate::kReleased;
      if (!(now == before)) return Fate::kAlive;
    }
    return before.present ? Fate::kSilent : Fate::kReleased;
  }

  void claim(File file, bool held) {
    text_ = this_process(held).text();
    if (!file.write(text_)) {
      const int code = errno;
      ::unlink(path_.c_str());
      errno = code;
      throw_errno(path_, "cannot write");
    }
    file_ = std::move(file);
  }

  void take_over(File file, bool held) {
    if (held) return claim(std::move(file), held);
    // Nobody keeps others out of the file: a new one replaces it in one step.
    fs::path fresh = path_;
    fresh += fmt::format(".{}-{}", host_name(), ::getpid());
    ::unlink(fresh.c_str());
    File replacement = open_file(fresh, O_RDWR | O_CREAT | O_EXCL);
    text_ = this_process(held).text();
    if (!replacement.is_open() || !replacement.write(text_) ||
        ::rename(fresh.c_str(), path_.c_str()) != 0) {
      const int code = errno;
      ::unlink(fresh.c_str());
      errno = code;
      throw_errno(path_, "cannot write");
    }
    file_ = std::move(replacement);
  }

  Error refusal(const Owner& owner) const {
    const std::string when =
        owner.known ? fmt::format(", since {} ({} ago)", owner.since, age_text(owner.since)) : "";
    // Without the owner's host one cannot know whether it is alive; here the kernel does.
    const std::string gone =
        owner.known && owner.is_on_this_machine()
            ? ""
            : fmt::format("; if that process is gone, remove {}", path_.string());
    return Error(ErrorKind::kIo,
                 "{}: is being written by another charm process, pid {} on {}{}; wait until it "
                 "ends, or choose another output{}",
                 output_.string(), owner.pid, owner.host, when, gone);
  }

  fs::path output_;
  fs::path path_;
  OutputLockOptions options_;
  std::set<std::string>& gone_;
  File file_;
  std::string text_;  ///< what the file says while it is ours
};

}  // namespace

struct OutputLock::State {
  std::set<std::string> gone;  ///< keys of owners whose locks were taken over
  std::vector<std::unique_ptr<LockFile>> files;
  std::jthread heart;  // the last member: stops first

  void start(milliseconds heartbeat) {
    heart = std::jthread([this, heartbeat](const std::stop_token& stop) {
      std::mutex mutex;
      std::condition_variable_any wake;
      std::unique_lock lock(mutex);
      while (!stop.stop_requested()) {
        wake.wait_for(lock, stop, heartbeat, [] { return false; });
        for (const auto& file : files) file->beat();
      }
    });
  }
};

OutputLock::OutputLock(std::unique_ptr<State> state) : state_(std::move(state)) {}

OutputLock::OutputLock(const fs::path& output, const OutputLockOptions& options)
    : OutputLock(std::vector<fs::path>{output}, options) {}

OutputLock::OutputLock(const std::vector<fs::path>& outputs, const OutputLockOptions& options)
    : state_(std::make_unique<State>()) {
  std::map<fs::path, fs::path> output_of_lock;
  for (const fs::path& output : outputs) {
    if (!is_standard_output(output)) output_of_lock.emplace(lock_path(output), output);
  }
  for (const auto& [path, output] : output_of_lock)
    state_->files.push_back(std::make_unique<LockFile>(output, path, options, state_->gone));
  state_->start(options.heartbeat);
}

OutputLock OutputLock::of_folder(const fs::path& folder, const OutputLockOptions& options) {
  auto state = std::make_unique<State>();
  state->files.push_back(
      std::make_unique<LockFile>(folder, folder / "charm.lock", options, state->gone));
  state->start(options.heartbeat);
  return OutputLock(std::move(state));
}

OutputLock::~OutputLock() = default;
OutputLock::OutputLock(OutputLock&&) noexcept = default;

void OutputLock::require_held() const {
  for (const auto& file : state_->files) {
    if (!file->is_held()) throw file->lost();
  }
}

fs::path lock_path(const fs::path& output) { return companion_path(link_target(output), ".lock"); }

}  // namespace charm
