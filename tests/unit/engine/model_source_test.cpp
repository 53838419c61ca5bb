#include "charm/engine/model_source.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/engine/causal_lm.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

const RewardModelOptions kCpu{.device = DeviceChoice::kCpu, .threads = 1};

/// A tiny base in `base/` and an adapter of it in `adapter/`.
class ModelSourceTest : public ::testing::Test {
 protected:
  ModelSourceTest() {
    testing_support::write_tiny_model(folder_ / "base", testing_support::tiny_config());
    write_adapter({});
  }

  void write_adapter(const std::string& more, std::int64_t width = 32, std::int64_t rank = 2) {
    auto config = nlohmann::json::parse(
        R"({"peft_type": "LORA", "base_model_name_or_path": "../base", "r": 2, "lora_alpha": 4})");
    config.update(nlohmann::json::parse("{" + more + "}"));
    folder_.file("adapter/adapter_config.json", config.dump());
    const std::string module = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    write_safetensors(adapter() / "adapter_model.safetensors",
                      {{module + "A.weight", test::ones({rank, width})},
                       {module + "B.weight", test::ones({32, rank})}});
  }

  fs::path base() const { return folder_ / "base"; }
  fs::path adapter() const { return folder_ / "adapter"; }
  static void load(const fs::path& path, const ModelSourceOptions& source = {}) {
    RewardModelOptions options = kCpu;
    options.source = source;
    load_reward_model(path, options);
  }

  TempFolder folder_;
};

TEST_F(ModelSourceTest, AnAdapterBesideWeightsIsRefusedUntilAnOptionSaysWhich) {
  EXPECT_FALSE(resolve_model_source(base(), {}).adapter_left_out);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(adapter() / name, base() / name);
  const Error error = error_of([&] { load(base()); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(
      error.message(),
      AllOf(HasSubstr("PEFT adapter (LORA, of ../base) beside its weights (adapter_config.json, "
                      "adapter_model.safetensors)"),
            HasSubstr("--adapter none"), HasSubstr("--adapter " + base().string())));
  EXPECT_ERROR(kInput, "--adapter none", load_causal_lm(base(), {}));
  const ModelSource without = resolve_model_source(base(), {.adapter = "none"});
  EXPECT_TRUE(without.adapter_left_out);
  EXPECT_FALSE(without.adapter.has_value());
  const ModelSource with = resolve_model_source(base(), {.adapter = base().string()});
  EXPECT_EQ(with.adapter, base());
  EXPECT_THAT(with.folders(), ElementsAre(base()));
  EXPECT_ERROR(kInput, "only one adapter", load(base(), {.adapter = adapter().string()}));
  EXPECT_ERROR(kInput, "only one adapter", load(adapter(), {.adapter = base().string()}));
  EXPECT_ERROR(kInput, "only one adapter", load(adapter()));  // its base has one
}

TEST_F(ModelSourceTest, TheBaseIsLookedUpFromTheAdapterThenTheWorkingFolderThenByTheOption) {
  EXPECT_THAT(resolve_model_source(adapter(), {}).folders(),
              ElementsAre((adapter() / "../base").lexically_normal(), adapter()));
  write_adapter(R"("base_model_name_or_path": "tests-of-charm/not-there")");
  const Error error = error_of([&] { load(adapter()); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("'tests-of-charm/not-there'"),
                                     HasSubstr("no weights"), HasSubstr("--base-model DIR")));
  EXPECT_EQ(resolve_model_source(adapter(), {.base_model = base()}).folder, base());
  EXPECT_ERROR(kIo, "--base-model", load(adapter(), {.base_model = folder_ / "absent"}));
  EXPECT_ERROR(kUsage, "no adapter's folder", load(base(), {.base_model = base()}));
  EXPECT_ERROR(kInput, "nothing is left", load(adapter(), {.adapter = "none"}));
  EXPECT_ERROR(kInput, "holds no adapter_config.json; expected the folder of a PEFT adapter",
               load(base(), {.adapter = folder_.path().string()}));
  EXPECT_ERROR(kIo, "no such folder", load(base(), {.adapter = (folder_ / "absent").string()}));
  EXPECT_ERROR(kIo, "is a file", load(base(), {.adapter = (base() / "config.json").string()}));
  write_adapter(R"("base_model_name_or_path": null)");
  EXPECT_ERROR(kInput, "names no base model", load(adapter()));
}

TEST_F(ModelSourceTest, WhatIsMergedIsRecorded) {
  EXPECT_THAT(load_reward_model(base(), kCpu)->provenance(), Not(Contains(Key("adapter"))));
  EXPECT_THAT(load_reward_model(adapter(), kCpu)->provenance(),
              Contains(Pair("adapter", "LoRA of rank 2 merged into 1 tensors")));
  folder_.file("base/adapter_config.json", "{}");
  RewardModelOptions options = kCpu;
  options.source.adapter = "none";
  EXPECT_THAT(load_reward_model(base(), options)->provenance(), Contains(Pair("adapter", "none")));
}

TEST_F(ModelSourceTest, OtherKindsOfAdaptersAreRefusedByName) {
  for (const char* setting :
       {R"("use_dora": true)", R"("layer_replication": [[0, 1], [0, 2]])",
        R"("init_lora_weights": "pissa")", R"("init_lora_weights": "olora")",
        R"("init_lora_weights": "corda")", R"("peft_type": "IA3")", R"("peft_type": "ADALORA")",
        R"("alora_invocation_tokens": [1, 2])"}) {
    write_adapter(setting);
    const std::string value =
        nlohmann::json::parse("{" + std::string(setting) + "}").front().dump();
    EXPECT_ERROR(kInput, value, load(adapter())) << setting;
  }
  write_adapter(R"("use_dora": false, "init_lora_weights": "gaussian", "lora_bias": false)");
  load(adapter());
}

TEST_F(ModelSourceTest, AdaptersThatDoNotFitAreRefused) {
  write_adapter(R"("r": 0)");
  EXPECT_ERROR(kInput, "rank of at least 1", load(adapter()));
  write_adapter(R"("rank_pattern": {"q_proj": 0})");
  EXPECT_ERROR(kInput, "rank_pattern is {\"q_proj\":0}, expected ranks of at least 1",
               load(adapter()));
  write_adapter(R"("rank_pattern": {"q_proj": 3})");
  EXPECT_ERROR(kInput, "says rank 3", load(adapter()));
  write_adapter(R"("rank_pattern": {"(": 3})");
  EXPECT_ERROR(kInput, "no regular expression", load(adapter()));
  write_adapter("", /*width=*/16);
  EXPECT_ERROR(kInput, "another base", load(adapter()));
  const std::string module = "base_model.model.model.layers.7.mlp.up_proj.lora_";
  write_safetensors(
      adapter() / "adapter_model.safetensors",
      {{module + "A.weight", test::ones({2, 32})}, {module + "B.weight", test::ones({40, 2})}});
  EXPECT_ERROR(kInput, "does not have: 'model.layers.7.mlp.up_proj.weight'", load(adapter()));
  write_safetensors(adapter() / "adapter_model.safetensors",
                    {{module + "A.weight", test::ones({2, 32})}});
  EXPECT_ERROR(kInput, "only one of its two LoRA factors", load(adapter()));
  write_safetensors(adapter() / "adapter_model.safetensors",
                    {{"model.layers.0.mlp.up_proj.weight", test::ones({2, 32})}});
  EXPECT_ERROR(kInput, "none that a LoRA adapter has", load(adapter()));
  fs::remove(adapter() / "adapter_model.safetensors");
  EXPECT_ERROR(kInput, "no adapter_model.safetensors", load(adapter()));
  folder_.file("adapter/adapter_model.safetensors",
               "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n");
  EXPECT_ERROR(kInput, "Git LFS", load(adapter()));
  folder_.file("adapter/adapter_config.json", "broken");
  EXPECT_ERROR(kInput, "an unnamed base model", [&] {
    fs::copy_file(adapter() / "adapter_config.json", base() / "adapter_config.json");
    load(base());
  }());
}

TEST_F(ModelSourceTest, TheAdaptersOwnTokenizerAndTemplateAreTaken) {
  folder_.file("base/tokenizer.json", "{}");
  folder_.file("base/tokenizer_config.json", R"({"chat_template": "base"})");
  EXPECT_EQ(resolve_model_source(adapter(), {.base_model = base()}).tokenizer_folder, base());
  folder_.file("adapter/tokenizer.json", "{}");
  ModelSource source = resolve_model_source(adapter(), {.base_model = base()});
  EXPECT_EQ(source.tokenizer_folder, adapter());
  EXPECT_EQ(source.template_folder, base());
  folder_.file("adapter/chat_template.jinja", "own");
  source = resolve_model_source(base(), {.adapter = adapter().string()});
  EXPECT_EQ(source.template_folder, adapter());
}

TEST_F(ModelSourceTest, HeadsOfTheOption) {
  EXPECT_THAT(resolve_model_source(base(), {.head = "lm-logit:7"}).logit_id,
              ::testing::Optional(7));
  for (const char* head : {"", "linear", "lm-logit:", "lm-logit:-1", "lm-logit:x"})
    EXPECT_ERROR(kUsage, "", resolve_model_source(base(), {.head = head})) << head;
  EXPECT_ERROR(kUsage, "with a head of its own", load(base(), {.head = "lm-logit:7"}));
}

}  // namespace
}  // namespace charm::engine
