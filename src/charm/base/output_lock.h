#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "charm/base/fs.h"

namespace charm {

struct OutputLockOptions {
  /// How long to wait for another process to release the lock; 0: not at all. For short sections,
  /// such as adding to a manifest.
  std::chrono::milliseconds wait{0};
  /// Between two refreshes of the lock file's modification time; a fraction of `patience`.
  std::chrono::milliseconds heartbeat{10'000};
  /// A process that cannot be looked up (of another host) counts as gone when its lock file has
  /// been watched this long without a heartbeat.
  std::chrono::milliseconds patience{30'000};
  bool kernel_lock = true;  ///< false: as on a file system without flock
};

/// Keeps other charm processes from writing the same outputs, from construction to destruction.
///
/// `<output>.lock` names process, host and start time, one "name value" a line, and the process
/// holds the kernel's lock (flock) on it: that is freed however the process ends, so a lock that a
/// dead process of this host left is taken over. Between hosts flock may mean nothing (NFS with
/// local_lock, Lustre without -o flock): there the modification time is a heartbeat, and a lock is
/// taken over when it has been watched for `patience` without one. Both are said in one line of the
/// log. docs/decisions/0062 has the reasons.
///
/// Throws kIo naming the output, its writer and the next step where another process has it.
/// One thread per object; a thread of its own refreshes the lock files.
class OutputLock {
 public:
  explicit OutputLock(const fs::path& output, const OutputLockOptions& options = {});
  /// All of them or none. Taken in order of name, so that of processes that share some outputs one
  /// succeeds.
  explicit OutputLock(const std::vector<fs::path>& outputs, const OutputLockOptions& options = {});
  /// Of a folder that several commands fill: the lock file lies in it (`charm.lock`).
  static OutputLock of_folder(const fs::path& folder, const OutputLockOptions& options = {});
  /// Removes the lock files.
  ~OutputLock();
  OutputLock(OutputLock&&) noexcept;
  OutputLock& operator=(OutputLock&&) = delete;
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

  /// Throws kIo where another host took the lock over while this process was suspended. Call before
  /// a result of long work is written.
  void require_held() const;

 private:
  struct State;
  explicit OutputLock(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// `<output>.lock`, beside what a chain of links at `output` leads to.
fs::path lock_path(const fs::path& output);

/// Identifies this process on its machine: "<boot id> <pid namespace> <pid> <start time>", from
/// Linux's /proc. Empty if /proc does not have them.
std::string process_identity();

/// Whether the process of that identity has certainly ended: it belongs to this machine and pid
/// namespace and no longer runs (a zombie counts as ended). False if unknown.
bool has_ended(const std::string& identity);

/// Whether the process of that identity is or was one of this machine, since it was last started.
bool is_of_this_machine(const std::string& identity);

/// Whether `has_ended` can know of it: it is or was one of this machine and pid namespace.
bool can_be_looked_up(const std::string& identity);

}  // namespace charm
