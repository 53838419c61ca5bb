// Loading the GPU back end, with stand-ins for it. The real one: tests/torch/plugin_test.cpp.
#include "charm/engine/plugin.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/expect_error.h"
#include "tests/support/stub_plugins.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::engine {
namespace {

class PluginLoader : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("CHARM_TORCH_PLUGIN"); }
  static void name_plugin(const std::string& path) {
    setenv("CHARM_TORCH_PLUGIN", path.c_str(), /*overwrite=*/1);
  }
};

TEST_F(PluginLoader, TheCpuNeedsNone) {
  name_plugin("/nowhere/libcharm_torch.so");
  EXPECT_EQ(gpu_backend(DeviceChoice::kCpu), nullptr);
}

TEST_F(PluginLoader, OneThatIsNotThereIsNamedWithTheWayToBuildIt) {
  name_plugin("/nowhere/libcharm_torch.so");
  EXPECT_ERROR(kResource, "/nowhere/libcharm_torch.so", gpu_backend(DeviceChoice::kCuda));
  EXPECT_ERROR(kResource, "cmake --preset cuda", gpu_backend(DeviceChoice::kCuda));
}

TEST_F(PluginLoader, WithoutANameItIsLookedForBesideTheProgram) {
  unsetenv("CHARM_TORCH_PLUGIN");
  EXPECT_EQ(gpu_backend(DeviceChoice::kAuto), nullptr);
  EXPECT_ERROR(kResource, "the GPU back end libcharm_torch.so was not found in /",
               gpu_backend(DeviceChoice::kCuda));
  EXPECT_ERROR(kResource, "/lib/libcharm_torch.so", gpu_backend(DeviceChoice::kCuda));
  EXPECT_ERROR(kResource, "CHARM_TORCH_PLUGIN", gpu_backend(DeviceChoice::kCuda));
}

TEST_F(PluginLoader, OneOfAnotherVersionIsRefusedWithBothVersions) {
  name_plugin(test::kPluginOfAnotherVersion);
  EXPECT_ERROR(kResource, "was built for charm 0.0.1 (interface 0123456789ab), this is charm ",
               gpu_backend(DeviceChoice::kCuda));
}

TEST_F(PluginLoader, OtherLibrariesAndOtherFilesAreRefused) {
  name_plugin(test::kNotAPlugin);
  EXPECT_ERROR(kResource, "exports no charm_torch_interface", gpu_backend(DeviceChoice::kCuda));
  const testing::TempFolder folder;
  name_plugin(folder.file("libcharm_torch.so", "no ELF file").string());
  EXPECT_ERROR(kResource, "cannot be loaded", gpu_backend(DeviceChoice::kCuda));
}

TEST_F(PluginLoader, WithoutAGpuCudaIsRefusedAndAutoTakesTheCpu) {
  name_plugin(test::kPluginWithoutGpu);
  EXPECT_ERROR(kResource, "no GPU is visible", gpu_backend(DeviceChoice::kCuda));
  EXPECT_ERROR(kResource, "--device cpu", gpu_backend(DeviceChoice::kCuda));
  EXPECT_EQ(gpu_backend(DeviceChoice::kAuto), nullptr);
  EXPECT_FALSE(load_plugin(test::kPluginWithoutGpu).has_gpu());
}

}  // namespace
}  // namespace charm::engine
