#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "charm/base/output_lock.h"

namespace charm {
namespace {

/// Fields of /proc/<pid>/stat, proc(5).
struct Stat {
  char state = '?';
  std::string start_time;
};

/// State '?' if there is no such process.
Stat read_stat(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  Stat stat;
  const std::size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return stat;
  std::istringstream rest(line.substr(name_end + 1));
  rest >> stat.state;
  constexpr int kFieldsBetween = 18;  // state is field 3, the start time field 22
  for (int i = 0; i < kFieldsBetween; ++i) rest >> stat.start_time;
  rest >> stat.start_time;
  return stat;
}

/// Changes with each boot; empty if unknown.
std::string boot_id_of_this_machine() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  std::getline(file, boot_id);
  return boot_id;
}

/// Boot id and pid namespace; empty if unknown.
std::string host_identity() {
  const std::string boot_id = boot_id_of_this_machine();
  std::error_code error;
  const std::string space = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  return boot_id.empty() || space.empty() ? std::string() : boot_id + " " + space;
}

}  // namespace

std::string process_identity() {
  const std::string pid = std::to_string(::getpid());
  const std::string host = host_identity();
  const Stat stat = read_stat(pid);
  return host.empty() || stat.start_time.empty()
             ? std::string()
             : fmt::format("{} {} {}", host, pid, stat.start_time);
}

bool has_ended(const std::string& identity) {
  std::istringstream words(identity);
  std::string boot_id, space, pid, start_time;
  words >> boot_id >> space >> pid >> start_time;
  if (start_time.empty() || boot_id + " " + space != host_identity()) return false;
  const Stat stat = read_stat(pid);
  return stat.start_time != start_time || stat.state == 'Z' || stat.state == 'X';
}

bool can_be_looked_up(const std::string& identity) {
  const std::string here = host_identity();
  return !here.empty() && identity.starts_with(here + " ");
}

bool is_of_this_machine(const std::string& identity) {
  const std::string boot_id = boot_id_of_this_machine();
  return !boot_id.empty() && identity.starts_with(boot_id + " ");
}

}  // namespace charm
