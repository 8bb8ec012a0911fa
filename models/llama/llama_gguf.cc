// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_gguf.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

constexpr const char* kEmbedding = "token_embd.weight";
constexpr const char* kHead = "output.weight";
constexpr const char* kRotaryDivisors = "rope_freqs.weight";

struct Renamed {
  std::string_view gguf, hugging_face;
};
constexpr Renamed kOutside[] = {{kEmbedding, "model.embed_tokens.weight"},
                                {"output_norm.weight", "model.norm.weight"},
                                {kHead, "lm_head.weight"}};
// Between "blk.N." and ".weight" or ".bias"; behind "model.layers.N.".
constexpr Renamed kInLayer[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

// A tensor of the file, and how many interleaved heads its rows are (0: rows are as they should be).
struct Stored {
  std::string name;
  std::int64_t heads = 0;
};

std::string architecture_of(const Gguf& file) { return file.metadata().text("general.architecture"); }

// Reads the metadata of one architecture, whose name all its keys begin with.
class Reader {
 public:
  Reader(const Gguf& file, std::string architecture) : file_(file), architecture_(std::move(architecture)) {}

  LlamaConfig read() const {
    refuse_variants();
    LlamaConfig config;
    config.layers = count("block_count");
    config.d_model = count("embedding_length");
    config.d_ff = count("feed_forward_length");
    config.heads = count("attention.head_count");
    config.kv_heads = count("attention.head_count_kv", config.heads);
    if (config.heads % config.kv_heads != 0)
      fail("{}: {} query heads cannot share {} key heads", file_.path(), config.heads, config.kv_heads);
    config.head_dim = head_dim(config);
    refuse_scales(config);
    // Within its window, attention is what it would be without.
    config.max_positions = count("context_length");
    config.max_positions =
        std::min(config.max_positions, count("attention.sliding_window", config.max_positions));
    config.norm_epsilon = positive("attention.layer_norm_rms_epsilon", {});
    config.rotary_base = positive("rope.freq_base", config.rotary_base);
    config.rotary_scaling = rotary_scaling(config);
    config.vocab = vocab(config);
    config.tied_head = !file_.has(kHead);
    config.qkv_bias = file_.has("blk.0.attn_q.bias");
    config.qk_norm = file_.has("blk.0.attn_q_norm.weight");
    config.pad_id = token_id("padding", config, 0);  // padding is never computed
    config.bos_id = token_id("bos", config, -1);
    config.eos_id = token_id("eos", config, config.eos_id);
    return config;
  }

 private:
  std::string key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }
  bool has(std::string_view name) const { return file_.metadata().has(key(name)); }

  std::int64_t count(std::string_view name, std::optional<std::int64_t> absent = {}) const {
    if (absent && !has(name)) return *absent;
    const std::int64_t value = file_.metadata().integer(key(name));
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    if (value < 1 || value > kMost)
      fail("{}: metadata '{}' is {}, and should lie in 1 to {}", file_.path(), key(name), value, kMost);
    return value;
  }

  double positive(std::string_view name, std::optional<double> absent) const {
    if (absent && !has(name)) return *absent;
    const double value = file_.metadata().real(key(name));
    if (!(value > 0) || !std::isfinite(value))
      fail("{}: metadata '{}' is {}, and should be positive", file_.path(), key(name), value);
    return value;
  }

  std::int64_t token_id(std::string_view token, const LlamaConfig& config, std::int64_t absent) const {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", token);
    if (!file_.metadata().has(key)) return absent;
    const std::int64_t id = file_.metadata().integer(key);
    if (id < 0 || id >= config.vocab)
      fail("{}: metadata '{}' is {}, and the vocabulary has {} tokens", file_.path(), key, id, config.vocab);
    return id;
  }

  // Without a type a factor is linear, as llama.cpp has it; files of old converters call it scale_linear.
  double rotary_factor() const {
    const std::string type =
        has("rope.scaling.type") ? file_.metadata().text(key("rope.scaling.type")) : "linear";
    if (type == "none") return 1;
    if (type != "linear")
      fail_config(
          "{}: rotary positions scaled by '{}' ('{}') are not run, only none and linear, and Llama 3's as "
          "a tensor '{}'",
          file_.path(), type, key("rope.scaling.type"), kRotaryDivisors);
    return positive("rope.scaling.factor", positive("rope.scale_linear", 1));
  }

  // `plain` are the values that change nothing.
  void refuse_unless(std::string_view name, std::initializer_list<double> plain) const {
    if (!has(name)) return;
    const double value = file_.metadata().real(key(name));
    for (const double known : plain)
      if (std::abs(value - known) <= 1e-6 * known) return;
    fail_config("{}: '{}' is {}, and models that need it are not run", file_.path(), key(name), value);
  }

  void refuse_scales(const LlamaConfig& config) const {
    refuse_unless("attention.scale", {0, 1 / std::sqrt(static_cast<double>(config.head_dim))});
    for (const char* name : {"logit_scale", "residual_scale", "embedding_scale", "rope.scaling.attn_factor"})
      refuse_unless(name, {0, 1});
    for (const char* name : {"attention.clamp_kqv", "attn_logit_softcapping", "final_logit_softcapping"})
      refuse_unless(name, {0});
  }

  void refuse_variants() const {
    if (has("attention.causal") && !file_.metadata().truth(key("attention.causal")))
      fail_config("{}: '{}' is false: attention that also looks ahead is not run", file_.path(),
                  key("attention.causal"));
    if (has("expert_count") && file_.metadata().integer(key("expert_count")) > 0)
      fail_config("{}: a mixture of {} experts is not run: take a dense model", file_.path(),
                  file_.metadata().integer(key("expert_count")));
  }

  std::int64_t head_dim(const LlamaConfig& config) const {
    std::int64_t size = 0;
    if (has("attention.key_length")) {
      size = count("attention.key_length");
    } else {
      if (config.d_model % config.heads != 0)
        fail("{}: an embedding length of {} is no multiple of {} heads, and there is no metadata '{}'",
             file_.path(), config.d_model, config.heads, key("attention.key_length"));
      size = config.d_model / config.heads;
    }
    const std::int64_t values = count("attention.value_length", size);
    const std::int64_t rotated = count("rope.dimension_count", size);
    if (size % 2 != 0 || values != size || rotated != size)
      fail_config(
          "{}: heads with keys of {}, values of {} and {} rotated dims are not run: the three must be one "
          "even number",
          file_.path(), size, values, rotated);
    return size;
  }

  std::int64_t vocab(const LlamaConfig& config) const {
    const Shape shape = file_.info(kEmbedding).shape;
    if (shape.size() != 2 || shape[1] != config.d_model)
      fail("{}: tensor '{}' is {} and should be [vocab, {}]", file_.path(), kEmbedding, to_string(shape),
           config.d_model);
    const std::int64_t said = count("vocab_size", shape[0]);
    if (said != shape[0])
      fail("{}: metadata '{}' is {}, but tensor '{}' has {} rows", file_.path(), key("vocab_size"), said,
           kEmbedding, shape[0]);
    return said;
  }

  RotaryScaling rotary_scaling(const LlamaConfig& config) const {
    RotaryScaling scaling;
    const double factor = rotary_factor();
    scaling.divisors = rotary_divisors(config);
    if (!scaling.divisors.empty()) {
      scaling.kind = "divisors";
      for (float& divisor : scaling.divisors) divisor *= static_cast<float>(factor);
    } else if (factor != 1) {
      scaling.kind = "linear";
      scaling.factor = factor;
    }
    return scaling;
  }

  // Llama 3's scaling, evaluated.
  std::vector<float> rotary_divisors(const LlamaConfig& config) const {
    if (!file_.has(kRotaryDivisors)) return {};
    const Shape shape = file_.info(kRotaryDivisors).shape;
    if (shape != Shape{config.head_dim / 2})
      fail("{}: tensor '{}' is {} and should be [{}]", file_.path(), kRotaryDivisors, to_string(shape),
           config.head_dim / 2);
    std::vector<float> divisors(static_cast<std::size_t>(shape[0]));
    file_.read(kRotaryDivisors, {}, DType::kFloat32, divisors.data());
    for (const float divisor : divisors)
      if (!(divisor > 0) || !std::isfinite(divisor))
        fail("{}: tensor '{}' holds {}, and should be positive", file_.path(), kRotaryDivisors, divisor);
    return divisors;
  }

  const Gguf& file_;
  std::string architecture_;
};

// "blk.12.attn_q.weight" -> "model.layers.12.self_attn.q_proj.weight"; nothing for a tensor that we do not
// know.
std::optional<std::string> hugging_face_name(std::string_view name, std::int64_t layers) {
  for (const Renamed& known : kOutside)
    if (known.gguf == name) return std::string(known.hugging_face);
  constexpr std::string_view kPrefix = "blk.";
  for (const std::string_view suffix : {".weight", ".bias"}) {
    if (name.size() < kPrefix.size() + suffix.size() || !name.starts_with(kPrefix) || !name.ends_with(suffix))
      continue;
    const std::string_view middle = name.substr(kPrefix.size(), name.size() - kPrefix.size() - suffix.size());
    const std::size_t dot = middle.find('.');
    if (dot == std::string_view::npos) continue;
    const std::string_view number = middle.substr(0, dot), part = middle.substr(dot + 1);
    std::int64_t layer = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), layer);
    // One spelling a number: "00" would be a second tensor of layer 0.
    if (error != std::errc() || layer < 0 || layer >= layers || fmt::to_string(layer) != number) continue;
    for (const Renamed& known : kInLayer)
      if (known.gguf == part) return fmt::format("model.layers.{}.{}{}", layer, known.hugging_face, suffix);
  }
  return {};
}

class LlamaGgufView final : public TensorSource {
 public:
  explicit LlamaGgufView(std::unique_ptr<Gguf> file) : file_(std::move(file)) {
    const LlamaConfig config = read_llama_gguf_config(*file_);
    const std::string architecture = architecture_of(*file_);
    head_dim_ = config.head_dim;
    for (const std::string& name : file_->names()) {
      if (name == kRotaryDivisors) continue;  // part of the config
      const auto renamed = hugging_face_name(name, config.layers);
      if (!renamed)
        fail("{}: tensor '{}' is none that a {} of {} layers has", path(), name, architecture, config.layers);
      Stored stored{name, 0};
      if (architecture == "llama") stored.heads = interleaved_heads(name, config);
      stored_.emplace(*renamed, std::move(stored));
    }
  }

  const std::string& path() const override { return file_->path(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, stored] : stored_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return stored_.contains(name); }
  TensorInfo info(const std::string& name) const override { return file_->info(find(name).name); }
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    const Stored& stored = find(name);
    if (stored.heads == 0)
      file_->read(stored.name, slab, type, out);
    else
      read_heads(stored, slab, type, static_cast<std::byte*>(out));
  }
  void forget() const override { file_->forget(); }

 private:
  std::int64_t interleaved_heads(std::string_view name, const LlamaConfig& config) const {
    const bool query = name.find(".attn_q.") != std::string_view::npos;
    if (!query && name.find(".attn_k.") == std::string_view::npos) return 0;
    const std::int64_t heads = query ? config.heads : config.kv_heads;
    const Shape shape = file_->info(std::string(name)).shape;
    if (shape.empty() || shape[0] != heads * head_dim_)
      fail("{}: tensor '{}' is {}, and should have {} rows for {} heads of {}", path(), name,
           to_string(shape), heads * head_dim_, heads, head_dim_);
    return heads;
  }

  // Head by head: all rows of it that the file holds, then those of the slab in their order.
  void read_heads(const Stored& stored, const Slab& slab, DType type, std::byte* out) const {
    Slab part =
        fitted(slab, file_->info(stored.name).shape, fmt::format("{}: tensor '{}'", path(), stored.name));
    const std::int64_t end = part.begin[0] + part.count[0];
    std::int64_t row = part.begin[0];
    part.count[0] = 1;
    const auto row_bytes = static_cast<std::size_t>(element_count(part.count)) * size_of(type);
    std::vector<std::byte> head(static_cast<std::size_t>(head_dim_) * row_bytes);
    while (row < end) {
      part.begin[0] = row / head_dim_ * head_dim_;
      part.count[0] = head_dim_;
      file_->read(stored.name, part, type, head.data());
      for (; row < std::min(end, part.begin[0] + head_dim_); ++row, out += row_bytes) {
        const std::int64_t inside = row - part.begin[0], half = head_dim_ / 2;
        const std::int64_t from = inside % half * 2 + inside / half;
        std::memcpy(out, head.data() + static_cast<std::size_t>(from) * row_bytes, row_bytes);
      }
    }
  }

  const Stored& find(const std::string& name) const {
    const auto stored = stored_.find(name);
    if (stored == stored_.end()) fail("{}: no weight '{}'{}", path(), name, did_you_mean(name, names()));
    return stored->second;
  }

  std::unique_ptr<Gguf> file_;
  std::int64_t head_dim_ = 0;
  std::map<std::string, Stored> stored_;
};

}  // namespace

LlamaConfig read_llama_gguf_config(const Gguf& file) {
  const std::string architecture = architecture_of(file);
  if (architecture != "llama" && architecture != "qwen2" && architecture != "qwen3")
    fail_config("{}: models of the architecture '{}' are not run, only llama, qwen2 and qwen3", file.path(),
                architecture);
  return Reader(file, architecture).read();
}

std::unique_ptr<TensorSource> llama_gguf_weights(std::unique_ptr<Gguf> file) {
  return std::make_unique<LlamaGgufView>(std::move(file));
}

}  // namespace trimtab
