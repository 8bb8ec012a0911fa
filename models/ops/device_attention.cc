// SPDX-License-Identifier: Apache-2.0
#include "models/ops/device_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <atomic>
#include <optional>

#include "models/ops/op_support.h"
#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The choice for a kind of device: made once, as LibTorch chooses its own kernels.
struct Choice {
  std::atomic<AttentionPath> path{AttentionPath::kComposed};
  std::atomic<const ragged::Launcher*> launcher{nullptr};
};

Choice& choice_of(c10::DeviceType where) {
  static std::array<Choice, c10::COMPILE_TIME_MAX_DEVICE_TYPES> all;
  [[maybe_unused]] static const bool defaults = [] {
    all[static_cast<std::size_t>(at::kCUDA)].path = AttentionPath::kPadded;
    return true;
  }();
  return all[static_cast<std::size_t>(where)];
}

const ragged::Launcher& launcher_of(const at::Tensor& q) {
  return *choice_of(q.device().type()).launcher.load();
}

// What does not take part in autograd, on the device where it is of tensors.
struct DeviceSetting {
  AttentionHeads heads;
  std::int64_t head_dim = 0;
  bool causal = false, packed = false;
  ragged::Extent extent;
  std::int64_t reach = 0;
  at::Tensor query_offsets, key_offsets;  // int64 [rows + 1]
  at::Tensor buckets;                     // int32 [2 * reach + 1] or undefined
  at::Tensor key_mask;                    // [key tokens, heads] or undefined
};

DeviceSetting setting_of(const detail::DeviceAttention& request) {
  const at::Device device = request.q.device();
  const auto offsets = [&](const RowLayout& layout) {
    return upload(at::tensor(layout.offsets(), at::kLong), device);
  };
  DeviceSetting s;
  s.heads = request.heads;
  s.packed = !request.k.defined();
  s.head_dim =
      request.q.size(1) / (s.packed ? request.heads.queries + 2 * request.heads.keys : request.heads.queries);
  s.causal = request.causal;
  s.extent = {request.queries.longest(), request.keys.longest(), request.queries.tokens()};
  s.query_offsets = offsets(request.queries);
  s.key_offsets = request.keys == request.queries ? s.query_offsets : offsets(request.keys);
  if (request.key_mask.defined()) s.key_mask = upload(request.key_mask.detach(), device).contiguous();
  if (!request.table.defined()) return s;
  // All distances from max_distance on share a bucket.
  s.reach = std::min(request.bias.max_distance, std::max<std::int64_t>(1, s.extent.longest_keys));
  at::Tensor buckets = at::empty({2 * s.reach + 1}, at::kInt);
  for (std::int64_t d = -s.reach; d <= s.reach; ++d)
    buckets.mutable_data_ptr<std::int32_t>()[d + s.reach] =
        static_cast<std::int32_t>(relative_bucket(d, request.bias));
  s.buckets = upload(buckets, device);
  return s;
}

void save(AutogradContext* context, const DeviceSetting& s) {
  context->saved_data["heads"] = std::vector<std::int64_t>{s.heads.queries, s.heads.keys};
  context->saved_data["scale"] = s.heads.scale;
  context->saved_data["numbers"] = std::vector<std::int64_t>{
      s.head_dim, s.causal, s.packed, s.extent.longest_queries, s.extent.longest_keys, s.extent.query_tokens,
      s.reach};
}

DeviceSetting restored(AutogradContext* context, const at::Tensor& query_offsets,
                       const at::Tensor& key_offsets, const at::Tensor& buckets, const at::Tensor& key_mask) {
  const std::vector<std::int64_t> heads = context->saved_data["heads"].toIntVector();
  const std::vector<std::int64_t> n = context->saved_data["numbers"].toIntVector();
  return {{heads[0], heads[1], context->saved_data["scale"].toDouble()},
          n[0],
          n[1] != 0,
          n[2] != 0,
          {n[3], n[4], n[5]},
          n[6],
          query_offsets,
          key_offsets,
          buckets,
          key_mask};
}

template <class T>
const T* data_of(const at::Tensor& x) {
  return x.defined() ? static_cast<const T*>(x.const_data_ptr()) : nullptr;
}

// Where queries, keys and values lie: in tensors of their own, or side by side in the first.
template <class T>
struct Places {
  ragged::Columns<T> q, k, v;

  template <class Get>
  Places(const DeviceSetting& s, const at::Tensor& first, const at::Tensor& second, const at::Tensor& third,
         const Get& get) {
    q = {get(first), first.stride(0)};
    if (s.packed) {
      k = {q.data + s.heads.queries * s.head_dim, q.ld};
      v = {k.data + s.heads.keys * s.head_dim, q.ld};
    } else {
      k = {get(second), second.stride(0)};
      v = {get(third), third.stride(0)};
    }
  }
};

ragged::Setting plain(const DeviceSetting& s, const at::Tensor& table) {
  ragged::Setting plain;
  plain.query_offsets = data_of<std::int64_t>(s.query_offsets);
  plain.key_offsets = data_of<std::int64_t>(s.key_offsets);
  plain.rows = static_cast<int>(s.query_offsets.size(0) - 1);
  plain.heads = static_cast<int>(s.heads.queries);
  plain.key_heads = static_cast<int>(s.heads.keys);
  plain.width = static_cast<int>(s.head_dim);
  plain.scale = static_cast<float>(s.heads.scale);
  plain.causal = s.causal;
  plain.table = data_of<float>(table);
  plain.buckets = data_of<int>(s.buckets);
  plain.reach = static_cast<int>(s.reach);
  plain.dropout.mask = data_of<float>(s.key_mask);
  return plain;
}

template <class T>
ragged::Input<T> input_of(const DeviceSetting& s, const at::Tensor& q, const at::Tensor& k,
                          const at::Tensor& v, const at::Tensor& table) {
  const Places<const T> at(s, q, k, v, [](const at::Tensor& x) { return data_of<T>(x); });
  return {at.q, at.k, at.v, plain(s, table)};
}

// body(a null pointer of the type of the elements).
template <class Body>
void for_type(const at::Tensor& x, const Body& body) {
  if (x.scalar_type() == at::kFloat) return body(static_cast<float*>(nullptr));
  body(static_cast<ragged::Bfloat16*>(nullptr));
}

at::Tensor dense(const std::optional<at::Tensor>& x) {
  return x.has_value() ? x->contiguous() : at::Tensor();
}

class DeviceAttentionFunction : public torch::autograd::Function<DeviceAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_input,
                            const std::optional<at::Tensor>& k_input,
                            const std::optional<at::Tensor>& v_input,
                            const std::optional<at::Tensor>& table_input, const DeviceSetting& s) {
    const at::Tensor q = q_input.contiguous(), k = dense(k_input), v = dense(v_input);
    at::Tensor table = dense(table_input);
    if (table.defined()) table = table.to(at::kFloat);
    at::Tensor out = at::empty({q.size(0), s.heads.queries * s.head_dim}, q.options());
    const at::Tensor log_sum = at::empty({s.heads.queries, q.size(0)}, q.options().dtype(at::kFloat));
    if (q.size(0) > 0)
      for_type(q, [&]<class T>(T*) {
        const ragged::Output<T> to = {{static_cast<T*>(out.mutable_data_ptr()), out.stride(0)},
                                      static_cast<float*>(log_sum.mutable_data_ptr()),
                                      q.size(0)};
        launcher_of(q).forward(input_of<T>(s, q, k, v, table), to, s.extent);
      });
    context->save_for_backward(
        {q, k, v, table, out, log_sum, s.query_offsets, s.key_offsets, s.buckets, s.key_mask});
    save(context, s);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &table = saved[3], &out = saved[4];
    const DeviceSetting s = restored(context, saved[6], saved[7], saved[8], saved[9]);
    const at::Tensor dout = gradients[0].contiguous();
    const auto like = [](const at::Tensor& x) { return x.defined() ? at::zeros_like(x) : x; };
    const at::Tensor dq = like(q), dk = like(k), dv = like(v);
    const at::Tensor delta = at::empty_like(saved[5]);
    at::Tensor by_tile;
    // Inputs that were not given do not count.
    if (table.defined() && context->needs_input_grad(s.packed ? 1 : 3))
      by_tile =
          at::zeros({s.query_offsets.size(0) - 1, std::max(1, tiles(s)), s.heads.queries, table.size(0)},
                    table.options());
    if (q.size(0) > 0)
      for_type(q, [&]<class T>(T*) {
        const Places<T> to(s, dq, dk, dv,
                           [](const at::Tensor& x) { return static_cast<T*>(x.mutable_data_ptr()); });
        ragged::Gradients<T> g;
        g.out = {data_of<T>(out), out.stride(0)};
        g.dout = {data_of<T>(dout), dout.stride(0)};
        g.log_sum = data_of<float>(saved[5]);
        g.delta = static_cast<float*>(delta.mutable_data_ptr());
        g.tokens = q.size(0);
        g.dq = to.q;
        g.dk = to.k;
        g.dv = to.v;
        if (by_tile.defined()) {
          g.dtable = static_cast<float*>(by_tile.mutable_data_ptr());
          g.bucket_count = static_cast<int>(table.size(0));
          g.most_tiles = tiles(s);
        }
        launcher_of(q).backward(input_of<T>(s, q, k, v, table), g, s.extent);
      });
    at::Tensor dtable;
    if (by_tile.defined()) dtable = by_tile.sum(at::IntArrayRef({0, 1})).t().contiguous();
    return {dq, dk, dv, dtable, at::Tensor()};
  }

 private:
  static int tiles(const DeviceSetting& s) {
    int count = 0;
    ragged::with_sizes(static_cast<int>(s.head_dim), [&](auto sizes) {
      count = ragged::tiles_of(s.extent.longest_queries, decltype(sizes)::kBackward);
    });
    return count;
  }
};

}  // namespace

void use_attention(c10::DeviceType where, AttentionPath path, const ragged::Launcher* launcher) {
  TT_CHECK((path == AttentionPath::kRagged) == (launcher != nullptr), "a launcher is for ragged rows alone");
  choice_of(where).path = path;
  choice_of(where).launcher = launcher;
}

void choose_attention(c10::DeviceType where, const std::string& name, const ragged::Launcher& launcher,
                      const std::string& key) {
  if (name == "padded") return use_attention(where, AttentionPath::kPadded);
  if (name == "composed") return use_attention(where, AttentionPath::kComposed);
  if (name == "ragged") return use_attention(where, AttentionPath::kRagged, &launcher);
  fail_config("{} is '{}'; it can be padded, which is the default, composed or ragged", key, name);
}

bool detail::has_device_attention(const at::Tensor& q, std::int64_t head_dim, std::int64_t buckets) {
  const AttentionPath path = choice_of(q.device().type()).path;
  if (path != AttentionPath::kRagged) return path == AttentionPath::kPadded;
  const bool known = q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16;
  return known && head_dim <= ragged::kWidest && buckets <= ragged::kThreads;
}

at::Tensor detail::device_attention(const DeviceAttention& request) {
  for (std::int64_t row = 0; row < request.queries.rows(); ++row)
    TT_CHECK(request.keys.length(row) > 0 || request.queries.length(row) == 0,
             "row {} has {} queries and nothing to attend to", row, request.queries.length(row));
  TT_CHECK(!request.causal || request.keys == request.queries, "causal attention of rows to other rows");
  if (choice_of(request.q.device().type()).path == AttentionPath::kPadded) return padded_attention(request);
  const auto given = [](const at::Tensor& x) {
    return x.defined() ? std::optional<at::Tensor>(x) : std::nullopt;
  };
  return DeviceAttentionFunction::apply(request.q, given(request.k), given(request.v), given(request.table),
                                        setting_of(request));
}

at::Tensor detail::causal_attention_on_device(const at::Tensor& qkv, const AttentionHeads& heads,
                                              const RotaryAngles& rotary, const RowLayout& layout) {
  const std::int64_t head_dim = qkv.size(1) / (heads.queries + 2 * heads.keys);
  const std::int64_t inner = heads.queries * head_dim, kv_inner = heads.keys * head_dim;
  const RotaryAngles angles = angles_of_tokens(rotary, layout);
  return device_attention({rotated_reference(qkv.narrow(1, 0, inner), heads.queries, angles),
                           rotated_reference(qkv.narrow(1, inner, kv_inner), heads.keys, angles),
                           qkv.narrow(1, inner + kv_inner, kv_inner),
                           layout,
                           layout,
                           heads,
                           true,
                           {},
                           {},
                           {}});
}

}  // namespace trimtab
