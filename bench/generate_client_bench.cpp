// Overhead of the inference-server client: many short requests against a stub server in another
// process that responds immediately. Prints JSON.
//   build/bench/bench/generate_client_bench [requests] [in flight]

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "charm/generate/server_generator.h"
#include "tests/support/fake_llm.h"

namespace {

/// Starts a server process that runs until killed; returns its pid and address.
pid_t start_stub(std::string& url) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    const charm::testing::FakeLlm server;
    const std::string address = server.url();
    if (write(ends[1], address.data(), address.size()) < 0) _exit(1);
    close(ends[1]);
    for (;;) pause();
  }
  close(ends[1]);
  char text[64] = {};
  const ssize_t size = read(ends[0], text, sizeof text - 1);
  url.assign(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  return child;
}

double cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

}  // namespace

int main(int argc, char** argv) {
  const int num_requests = argc > 1 ? std::stoi(argv[1]) : 10000;
  const int in_flight = argc > 2 ? std::stoi(argv[2]) : 256;
  charm::generate::ServerOptions options;
  options.urls.resize(1);
  const pid_t stub = start_stub(options.urls.front());
  options.model = "tiny";
  options.concurrency = in_flight;
  std::vector<charm::generate::GenerationRequest> requests;
  for (int i = 0; i < num_requests; ++i) {
    const std::string number = std::to_string(i);
    requests.push_back({.index = static_cast<std::size_t>(i),
                        .prompt_id = "p" + number,
                        .prompt = {{"user", "question " + number}}});
  }
  const double before_mib = peak_mib(), before_s = cpu_s();
  const auto begin = std::chrono::steady_clock::now();
  std::set<std::size_t> answered;
  std::size_t num_errors = 0, num_wrong = 0;
  charm::generate::make_server_generator(options)->generate(
      requests, {}, [&](charm::generate::GenerationResult result) {
        num_errors += result.error ? 1 : 0;
        num_wrong += result.response.find("question " + std::to_string(result.index) + " ") ==
                             std::string::npos
                         ? 1
                         : 0;
        answered.insert(result.index);
      });
  const double elapsed_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  kill(stub, SIGKILL);
  waitpid(stub, nullptr, 0);
  const nlohmann::ordered_json result = {{"requests", num_requests},
                                         {"in_flight", in_flight},
                                         {"answered", answered.size()},
                                         {"errors", num_errors},
                                         {"wrong", num_wrong},
                                         {"elapsed_s", elapsed_s},
                                         {"requests_per_s", num_requests / elapsed_s},
                                         {"cpu_s", cpu_s() - before_s},
                                         {"peak_mib_before", before_mib},
                                         {"peak_mib", peak_mib()}};
  std::puts(result.dump(2).c_str());
  return answered.size() == requests.size() && num_errors == 0 && num_wrong == 0 ? 0 : 1;
}
