#include "charm/engine/reward_model.h"

namespace charm::engine {

void describe_device(OptionTable& table, DTypeChoice& dtype, DeviceChoice& device) {
  table
      .choice("dtype", dtype,
              {{"auto", DTypeChoice::kAuto},
               {"float32", DTypeChoice::kFloat32},
               {"bfloat16", DTypeChoice::kBFloat16}},
              "Element type of the computation; the head always runs in float32. auto takes "
              "bfloat16 where the machine has native bf16 (AVX512-BF16, AMX, CUDA) and float32 "
              "otherwise, where bfloat16 would be several times slower.")
      .choice("device", device,
              {{"auto", DeviceChoice::kAuto},
               {"cpu", DeviceChoice::kCpu},
               {"cuda", DeviceChoice::kCuda}},
              "Where the model runs. auto takes the GPU where one is present and the GPU back end, "
              "libcharm_torch.so, is installed.");
}

void describe_model(OptionTable& table, RewardModelOptions& options) {
  describe_device(table, options.dtype, options.device);
  describe_source(table, options.source);
}

}  // namespace charm::engine
