#include "charm/dist/world.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <thread>

namespace charm::dist {
namespace {

/// A port that is unique among concurrently running tests.
std::uint16_t next_port() {
  static std::uint16_t offset = 0;
  return static_cast<std::uint16_t>(31000 + (getpid() % 500) * 20 + offset++);
}

Launch place(int rank, int size, std::uint16_t port) {
  Launch launch;
  launch.rank = rank;
  launch.size = size;
  launch.host = "127.0.0.1";
  launch.port = port;
  launch.key_prefix = "test/";
  return launch;
}

TEST(World, WithOneProcessEveryCallIsANoOp) {
  World world = World::alone();
  EXPECT_EQ(world.broadcast("hello"), "hello");
  world.post("lost");
  EXPECT_TRUE(world.collect().empty());
  world.end();
  EXPECT_TRUE(world.is_root());
}

TEST(World, BroadcastsAndGathers) {
  const std::uint16_t port = next_port();
  std::vector<std::thread> others;
  for (const int rank : {1, 2}) {
    others.emplace_back([=] {
      World world = World::join(place(rank, 3, port));
      const std::string first = world.broadcast("");
      const std::string second = world.broadcast("");
      for (int i = 0; i < 20; ++i) world.post(first + second + std::to_string(rank * 100 + i));
      world.end();
    });
  }
  World root = World::join(place(0, 3, port));
  root.broadcast("a");
  root.broadcast(std::string("\0b", 2));  // any bytes
  std::vector<std::string> got;
  root.end([&](const std::string& message) { got.push_back(message); });
  for (std::thread& other : others) other.join();
  ASSERT_EQ(got.size(), 40u);
  std::set<std::string> expected;
  for (const int rank : {1, 2}) {
    for (int i = 0; i < 20; ++i)
      expected.insert(std::string("a\0b", 3) + std::to_string(rank * 100 + i));
  }
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), expected);
}

TEST(World, AFailureReachesRankZeroWithItsKindAndMessage) {
  const std::uint16_t port = next_port();
  std::thread other([=] {
    World world = World::join(place(1, 2, port));
    world.broadcast("");
    world.fail(Error(ErrorKind::kInput, "row 7 is broken"));
  });
  World root = World::join(place(0, 2, port));
  root.broadcast("go");
  other.join();
  try {
    root.end([](const std::string&) {});
    FAIL() << "no failure";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_EQ(error.message(), "rank 1 of 2: row 7 is broken");
  }
}

TEST(World, AMissingRankZeroIsAnError) {
  try {
    World::join(place(1, 2, next_port()), /*timeout_seconds=*/0.5);
    FAIL() << "joined nobody";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_NE(error.message().find("found no rank 0 at 127.0.0.1:"), std::string::npos)
        << error.message();
  }
}

TEST(World, AMissingRankIsAnError) {
  try {
    World::join(place(0, 2, next_port()), /*timeout_seconds=*/0.3);
    FAIL() << "joined nobody";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_NE(error.message().find("rank 1 of 2 did not join"), std::string::npos)
        << error.message();
  }
}

}  // namespace
}  // namespace charm::dist
