#include "charm/dist/world.h"

#include <c10/util/Logging.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "charm/base/log.h"
#include "charm/base/process_identity.h"

namespace charm::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(5);
constexpr auto kHeartbeatInterval = std::chrono::seconds(1);
constexpr auto kHeartbeatTimeout = std::chrono::seconds(30);
constexpr auto kProcessPollInterval = std::chrono::milliseconds(200);

std::vector<std::uint8_t> to_bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string to_text(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// Rank 0's state of another rank.
struct Peer {
  std::int64_t received = 0;
  std::int64_t num_heartbeats = 0;
  Clock::time_point last_heartbeat = Clock::now();
  std::string process;  ///< see process_identity
  Clock::time_point last_process_poll;
  bool ended = false;
};

/// Error of ranks above 0 when the store is unreachable.
Error rank_0_has_ended(const Launch& launch, const std::exception& error) {
  log::debug("TCPStore: {}", error.what());
  return Error(ErrorKind::kResource, "rank {} of {} stops: rank 0 has ended; see its message",
               launch.rank, launch.size);
}

}  // namespace

struct World::State {
  c10::intrusive_ptr<c10d::TCPStore> store;
  std::string prefix;
  std::int64_t broadcasts = 0;
  std::int64_t posted = 0;
  std::vector<Peer> peers;  ///< rank 0: by rank
  std::thread heartbeat;    ///< ranks above 0: heartbeat thread
  std::atomic<bool> stop{false};

  std::string key(const char* what, std::int64_t a, std::int64_t b = 0) const {
    return prefix + what + "/" + std::to_string(a) + "/" + std::to_string(b);
  }

  void start_heartbeat(int rank) {
    heartbeat = std::thread([this, rank] {
      try {
        while (!stop) {
          store->add(key("heartbeat", rank), 1);
          for (auto slept = std::chrono::milliseconds(0); slept < kHeartbeatInterval && !stop;
               slept += kPollInterval) {
            std::this_thread::sleep_for(kPollInterval);
          }
        }
        // NOLINTNEXTLINE(bugprone-empty-catch): rank 0 has ended, so this rank's next post fails
      } catch (const std::exception&) {
      }
    });
  }

  ~State() {
    stop = true;
    if (heartbeat.joinable()) heartbeat.join();
  }
};

World::World(Launch launch) : launch_(std::move(launch)) {}
World::~World() = default;
World::World(World&&) noexcept = default;

World World::join(const Launch& launch, double timeout_seconds) {
  World world(launch);
  if (launch.size == 1) return world;
  world.state_ = std::make_unique<State>();
  c10d::TCPStoreOptions options;
  options.port = launch.port;
  options.isServer = launch.rank == 0 && !launch.store_is_given;
  options.waitWorkers = false;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds * 1000));
  FLAGS_caffe2_log_level =
      3;  // suppresses the store's stack traces of lost connections; our errors explain them
  try {
    world.state_->store = c10::make_intrusive<c10d::TCPStore>(launch.host, options);
  } catch (const std::exception& error) {
    log::debug("TCPStore: {}", error.what());
    if (options.isServer) {
      throw Error(ErrorKind::kResource,
                  "rank 0 cannot listen on {}:{}; another job may: set MASTER_PORT to a free port "
                  "for all ranks",
                  launch.host, launch.port);
    }
    throw Error(ErrorKind::kResource,
                "rank {} of {} found no rank 0 at {}:{} within {} s (MASTER_ADDR, MASTER_PORT)",
                launch.rank, launch.size, launch.host, launch.port, timeout_seconds);
  }
  world.state_->prefix = launch.key_prefix;
  world.state_->peers.resize(static_cast<std::size_t>(launch.size));
  if (launch.rank != 0) {
    try {
      world.state_->store->set(world.state_->key("process", launch.rank),
                               to_bytes(process_identity()));
    } catch (const std::exception& error) {
      throw rank_0_has_ended(launch, error);
    }
    world.state_->start_heartbeat(launch.rank);
    return world;
  }
  const auto timeout = std::chrono::duration<double>(timeout_seconds);
  const auto start = Clock::now();
  for (int r = 1; r < launch.size; ++r) {
    while (!world.state_->store->check({world.state_->key("process", r)})) {
      if (Clock::now() - start > timeout) {
        throw Error(ErrorKind::kResource,
                    "rank {} of {} did not join within {} s; was it started, with the same "
                    "MASTER_ADDR and MASTER_PORT?",
                    r, launch.size, timeout_seconds);
      }
      std::this_thread::sleep_for(kPollInterval);
    }
    world.state_->peers[static_cast<std::size_t>(r)].process =
        to_text(world.state_->store->get(world.state_->key("process", r)));
  }
  return world;
}

std::string World::broadcast(const std::string& value) {
  if (size() == 1) return value;
  const std::string key = state_->key("broadcast", state_->broadcasts++);
  try {
    if (is_root()) {
      state_->store->set(key, to_bytes(value));
      return value;
    }
    while (!state_->store->check({key})) std::this_thread::sleep_for(kPollInterval);
    return to_text(state_->store->get(key));
  } catch (const std::exception& error) {
    throw rank_0_has_ended(launch_, error);
  }
}

void World::post(const std::string& message) {
  if (size() == 1) return;
  try {
    state_->store->set(state_->key("message", rank(), state_->posted++), to_bytes(message));
    state_->store->add(state_->key("count", rank()), 1);
  } catch (const std::exception& error) {
    throw rank_0_has_ended(launch_, error);
  }
}

std::vector<std::string> World::collect() {
  std::vector<std::string> messages;
  if (size() == 1) return messages;
  c10d::TCPStore& store = *state_->store;
  for (int r = 1; r < size(); ++r) {
    Peer& peer = state_->peers[static_cast<std::size_t>(r)];
    if (peer.ended) continue;
    // Polled before its last messages are read.
    const bool poll = Clock::now() - peer.last_process_poll > kProcessPollInterval;
    const bool terminated = poll && has_ended(peer.process);
    if (poll) peer.last_process_poll = Clock::now();
    if (const std::string key = state_->key("failure", r); store.check({key})) {
      const std::string text = to_text(store.get(key));  // "<exit code> <message>"
      throw Error(static_cast<ErrorKind>(std::stoi(text)), "rank {} of {}: {}", r, size(),
                  text.substr(text.find(' ') + 1));
    }
    const bool ended =
        store.check({state_->key("end", r)});  // read before the count: nothing is posted after it
    const std::int64_t count = store.add(state_->key("count", r), 0);
    for (; peer.received < count; ++peer.received) {
      const std::string key = state_->key("message", r, peer.received);
      messages.push_back(to_text(store.get(key)));
      store.deleteKey(key);
    }
    peer.ended = ended;
    const std::int64_t num_heartbeats = store.add(state_->key("heartbeat", r), 0);
    if (num_heartbeats != std::exchange(peer.num_heartbeats, num_heartbeats))
      peer.last_heartbeat = Clock::now();
    if (!ended && terminated) {
      throw Error(ErrorKind::kResource,
                  "rank {} of {} terminated unexpectedly: it was killed, perhaps out of memory; "
                  "finished rows are kept, run the same command again to resume",
                  r, size());
    }
    if (!ended && Clock::now() - peer.last_heartbeat > kHeartbeatTimeout) {
      throw Error(
          ErrorKind::kResource,
          "rank {} of {} has sent no heartbeat for {} s: it was killed or its node is down; "
          "finished rows are kept, run the same command again to resume",
          r, size(),
          std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - peer.last_heartbeat)
              .count());
    }
  }
  return messages;
}

void World::end(const std::function<void(const std::string&)>& on_message) {
  if (size() == 1) return;
  if (!is_root()) {
    try {
      state_->store->set(state_->key("end", rank()), to_bytes("1"));
    } catch (const std::exception& error) {
      throw rank_0_has_ended(launch_, error);
    }
    return;
  }
  const auto all_ended = [&] {
    for (std::size_t r = 1; r < state_->peers.size(); ++r) {
      if (!state_->peers[r].ended) return false;
    }
    return true;
  };
  while (!all_ended()) {
    for (const std::string& message : collect()) on_message(message);
    std::this_thread::sleep_for(kPollInterval);
  }
}

void World::fail(const Error& error) noexcept {
  if (size() == 1) return;
  try {
    state_->store->set(state_->key("failure", rank()),
                       to_bytes(std::to_string(error.exit_code()) + " " + error.message()));
    // NOLINTNEXTLINE(bugprone-empty-catch): no rank left to notify
  } catch (const std::exception&) {
  }
}

}  // namespace charm::dist
