// SPDX-License-Identifier: Apache-2.0
//
// Golden models in other forms of the same model: with columns that turn as neighbours, and as a GGUF file
// with a divisor for each pair of columns, as Llama 3 has it. What the reference computed stays valid.
#include <gmock/gmock.h>

#include "models/file_checks.h"
#include "models/formats/gguf_bytes.h"
#include "models/golden_case.h"
#include "models/llama/llama_files.h"
#include "runtime/shard.h"

namespace trimtab::test {
namespace {

constexpr double kTolerance = 1e-5;

std::vector<float> values_of(const TensorSource& source, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(element_count(source.info(name).shape)));
  source.read(name, {}, DType::kFloat32, values.data());
  return values;
}

// Rows of each head in the order 0, h, 1, h + 1, ..., with h half of the head.
std::vector<float> interleaved(const std::vector<float>& rows, std::int64_t head_dim, std::int64_t columns) {
  std::vector<float> out;
  const std::int64_t count = std::ssize(rows) / columns;
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t inside = row % head_dim;
    const std::int64_t from = row - inside + inside % 2 * (head_dim / 2) + inside / 2;
    out.insert(out.end(), rows.begin() + from * columns, rows.begin() + (from + 1) * columns);
  }
  return out;
}

bool turns(const std::string& name) {
  return name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
}

std::vector<float> turned(const LlamaFiles& files, const std::string& name) {
  const std::vector<float> values = values_of(*files.weights, name);
  return turns(name) ? interleaved(values, files.config.head_dim, files.weights->info(name).shape.back())
                     : values;
}

class Turned : public TensorSource {
 public:
  explicit Turned(const LlamaFiles& files) : files_(files) {}
  const std::string& path() const override { return files_.weights->path(); }
  std::vector<std::string> names() const override { return files_.weights->names(); }
  bool has(const std::string& name) const override { return files_.weights->has(name); }
  TensorInfo info(const std::string& name) const override { return files_.weights->info(name); }
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    const Shape shape = info(name).shape;
    const Slab part = fitted(slab, shape, name);
    TT_CHECK(type == DType::kFloat32, "float32 only");
    const std::vector<float> values = turned(files_, name);
    const std::int64_t columns = shape.back(), wide = part.count.back();
    const std::int64_t first = shape.size() == 2 ? part.begin[0] : 0,
                       rows = shape.size() == 2 ? part.count[0] : 1;
    for (std::int64_t row = 0; row < rows; ++row)
      std::copy_n(values.data() + (first + row) * columns + part.begin.back(), wide,
                  static_cast<float*>(out) + row * wide);
  }

 private:
  const LlamaFiles& files_;
};

void expect_golden(const GoldenCase& golden) {
  World world = solo_world();
  const auto stage = golden.stage(world);
  const at::Tensor rows = golden.stored("prompt").set_requires_grad(true);
  FixedPrompt adapter(rows);
  stage->attach_input(&adapter);
  const StageIO out = stage->forward({}, golden.batch(), {});
  EXPECT_LT(relative_error(stage->logits(out), golden.stored("logits")), kTolerance);
  stage->loss(out, golden.batch(), 1e-4).loss.backward();
  EXPECT_LT(relative_error(rows.grad(), golden.stored("prompt.grad")), kTolerance);
  EXPECT_EQ(stage->generate(golden.batch(), 12), golden.generated());
}

TEST(LlamaForms, ColumnsThatTurnAsNeighbours) {
  for (const std::string name : {"llama_tied", "llama_scaled"}) {
    SCOPED_TRACE(name);
    const Folder folder;
    const LlamaFiles files = open_llama(std::string(TRIMTAB_GOLDEN_DIR "/") + name);
    LlamaFiles other{files.config, std::make_unique<Turned>(files), files.tokenizer};
    other.config.rotary_interleaved = true;
    save_llama(other, folder / "m.h5", DType::kFloat32);
    expect_golden(GoldenCase(name, folder / "m.h5"));
  }
}

// GGUF's name of a weight, as its converter has it.
std::string gguf_name(std::string name) {
  for (const auto& [theirs, ours] :
       std::vector<std::pair<std::string, std::string>>{{"model.layers.", "blk."},
                                                        {"model.embed_tokens", "token_embd"},
                                                        {"model.norm", "output_norm"},
                                                        {"lm_head", "output"},
                                                        {"input_layernorm", "attn_norm"},
                                                        {"post_attention_layernorm", "ffn_norm"},
                                                        {"self_attn.o_proj", "attn_output"},
                                                        {"self_attn.q_proj", "attn_q"},
                                                        {"self_attn.k_proj", "attn_k"},
                                                        {"self_attn.v_proj", "attn_v"},
                                                        {"mlp.gate_proj", "ffn_gate"},
                                                        {"mlp.up_proj", "ffn_up"},
                                                        {"mlp.down_proj", "ffn_down"}})
    if (const std::size_t at = name.find(theirs); at != std::string::npos)
      name.replace(at, theirs.size(), ours);
  return name;
}

// The scaling of llama_scaled is Llama 3's: its file has what comes out of it, a divisor for each pair.
GgufBytes as_gguf(const LlamaFiles& files) {
  const LlamaConfig& c = files.config;
  GgufBytes bytes;
  bytes.text("general.architecture", "llama");
  for (const auto& [key, value] : std::map<std::string, std::int64_t>{{"block_count", c.layers},
                                                                      {"embedding_length", c.d_model},
                                                                      {"feed_forward_length", c.d_ff},
                                                                      {"attention.head_count", c.heads},
                                                                      {"attention.head_count_kv", c.kv_heads},
                                                                      {"attention.key_length", c.head_dim},
                                                                      {"attention.value_length", c.head_dim},
                                                                      {"context_length", c.max_positions}})
    bytes.integer("llama." + key, static_cast<std::uint32_t>(value));
  bytes.integer("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(c.eos_id))
      .integer("tokenizer.ggml.padding_token_id", static_cast<std::uint32_t>(c.pad_id))
      .real("llama.attention.layer_norm_rms_epsilon", static_cast<float>(c.norm_epsilon))
      .real("llama.rope.freq_base", static_cast<float>(c.rotary_base));
  LlamaConfig plain = c;
  plain.rotary_scaling = {};
  std::vector<float> divisors = rotary_frequencies(plain);
  const std::vector<float> scaled = rotary_frequencies(c);
  for (std::size_t i = 0; i < divisors.size(); ++i) divisors[i] /= scaled[i];
  bytes.floats("rope_freqs.weight", {divisors.size()}, divisors);
  for (const auto& [name, shape] : llama_weights(c))
    bytes.floats(gguf_name(name), {shape.rbegin(), shape.rend()}, turned(files, name));
  return bytes;
}

TEST(LlamaForms, GgufWithADivisorForEachPair) {
  const Folder folder;
  const LlamaFiles files = open_llama(TRIMTAB_GOLDEN_DIR "/llama_scaled");
  GgufBytes bytes = as_gguf(files);
  write_bytes(folder / "m.gguf", bytes.bytes());
  const LlamaConfig config = open_llama(folder / "m.gguf").config;
  EXPECT_EQ(config.rotary_scaling.kind, "divisors");
  EXPECT_GT(config.rotary_scaling.divisors.back(), 3.0F) << "the slowest pair is slowed down by 4";
  expect_golden(GoldenCase("llama_scaled", folder / "m.gguf"));

  bytes.text("llama.rope.scaling.type", "linear").real("llama.rope.scaling.factor", 2);
  write_bytes(folder / "linear.gguf", bytes.bytes());
  const RotaryScaling both = open_llama(folder / "linear.gguf").config.rotary_scaling;
  for (std::size_t i = 0; i < both.divisors.size(); ++i)
    EXPECT_FLOAT_EQ(both.divisors[i], 2 * config.rotary_scaling.divisors[i]) << "neither is lost";
}

}  // namespace
}  // namespace trimtab::test
