// What the program loads, and --device cuda where there is no GPU back end for it.

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"
#include "tests/support/stub_plugins.h"

namespace charm::e2e {
namespace {

TEST(Libraries, TheProgramNeedsNeitherTorchNorCuda) {
  const Outcome outcome = run_charm({}, {.launcher = {"ldd"}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("libarrow"), std::string::npos) << outcome.out;
  // Names of libraries, as "c10" may be part of an address.
  for (const char* name : {"libtorch", "libc10", "libcuda", "libcupti", "libgomp", "not found"})
    EXPECT_EQ(outcome.out.find(name), std::string::npos) << outcome.out;
}

class Device : public SmallWorld {
 protected:
  void expect_refusal(const char* plugin, const std::string& part) {
    const Outcome outcome =
        run_charm({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                   path("out"), "--device", "cuda"},
                  {.environment = {{"CHARM_TORCH_PLUGIN", plugin}}});
    EXPECT_EQ(outcome.code, 6);
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(path("out/helper.parquet")));
  }
};

TEST_F(Device, CudaWithoutABackEndThatFitsIsRefused) {
  expect_refusal("/nowhere/libcharm_torch.so", "cmake --preset cuda");
  expect_refusal(test::kPluginOfAnotherVersion, "was built for charm 0.0.1");
  expect_refusal(test::kPluginWithoutGpu, "no GPU is visible");
}

TEST_F(Device, TrainingOnAGpuIsRefusedWithoutOne) {
  write_file(path("pairs.jsonl"), R"({"prompt": "a b", "chosen": "c d", "rejected": "e f"})"
                                  "\n");
  const RunSetup setup{.environment = {{"CHARM_TORCH_PLUGIN", test::kPluginWithoutGpu}}};
  const Outcome training =
      run_charm({"train", "--model", path("rm"), "--preferences", path("pairs.jsonl"), "--output",
                 path("trained"), "--device", "cuda"},
                setup);
  EXPECT_EQ(training.code, 6) << training.err;
  EXPECT_NE(training.err.find("no GPU is visible"), std::string::npos) << training.err;
}

TEST_F(Device, AutoIsTheCpu) {
  const Outcome outcome = run_charm(
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", path("out")},
      {.environment = {{"CHARM_TORCH_PLUGIN", test::kPluginWithoutGpu}}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace charm::e2e
