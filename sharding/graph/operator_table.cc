#include "sharding/graph/operator_table.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace kiln::sharding {
namespace {

// Each list in alphabetical order, so that find_operator can search it.
constexpr std::string_view kFresh[] = {
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_fused_rms_norm", "_log_softmax",
    "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_prelu_kernel",
    "_scaled_dot_product_flash_attention_for_cpu", "_softmax", "_to_copy", "_unsafe_index",
    "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "_upsample_nearest_exact2d", "_weight_norm", "abs", "acos",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool2d",
    "add", "addcdiv", "addcmul", "addmm", "affine_grid_generator", "all", "amax", "amin", "any",
    "arange", "argmax", "argmin", "asin", "atan", "atan2", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "baddbmm", "batch_norm", "bitwise_and", "bitwise_not", "bitwise_or",
    "bitwise_xor", "bmm", "bucketize", "cat", "ceil", "celu", "channel_shuffle", "clamp",
    "clamp_max", "clamp_min", "clone", "col2im", "concat", "constant_pad_nd", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution", "copy",
    "cos", "cosh", "cosine_similarity", "cross", "cumprod", "cumsum", "diagonal_scatter", "diff",
    "div", "dot", "einsum", "elu", "embedding", "eq", "erf", "exp", "exp2", "expm1", "eye", "fill",
    "flip", "floor", "floor_divide", "fmod", "frac", "full", "full_like", "gather", "ge", "gelu",
    "glu", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "gt", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "hypot", "im2col", "index", "index_add", "index_copy",
    "index_fill", "index_put", "index_select", "instance_norm", "inverse", "isfinite", "isinf",
    "isnan", "layer_norm", "le", "leaky_relu", "lerp", "lift_fresh_copy", "linalg_norm",
    "linalg_vector_norm", "linear", "linspace", "log", "log10", "log1p", "log2", "log_sigmoid",
    "log_softmax", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "lt",
    "masked_fill", "masked_scatter", "matmul", "max", "max_pool1d", "max_pool2d",
    "max_pool2d_with_indices", "max_pool3d", "maximum", "mean", "median", "meshgrid", "min",
    "minimum", "mish", "mm", "mse_loss", "mul", "mv", "native_channel_shuffle",
    "native_group_norm", "native_layer_norm", "ne", "neg", "new_full", "new_ones", "new_zeros",
    "nonzero_static", "norm", "one_hot", "ones", "ones_like", "outer", "pad", "pixel_shuffle",
    "pixel_unshuffle", "pow", "prelu", "prod", "reciprocal", "reflection_pad1d",
    "reflection_pad2d", "reflection_pad3d", "relu", "relu6", "remainder", "repeat",
    "repeat_interleave", "replication_pad1d", "replication_pad2d", "replication_pad3d", "rms_norm",
    "roll", "rot90", "round", "rsqrt", "rsub", "scalar_tensor", "scaled_dot_product_attention",
    "scatter", "scatter_add", "scatter_reduce", "select_scatter", "selu", "sgn", "sigmoid", "sign",
    "silu", "sin", "sinh", "slice_scatter", "softmax", "softplus", "softshrink", "softsign",
    "sort", "sqrt", "square", "stack", "std", "std_mean", "sub", "sum", "take_along_dim", "tan",
    "tanh", "threshold", "tile", "topk", "tril", "triu", "true_divide", "trunc", "unfold_copy",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "upsample_nearest_exact2d", "upsample_trilinear3d",
    "var", "var_mean", "where", "zeros", "zeros_like"};

constexpr std::string_view kView[] = {
    "alias", "broadcast_to", "chunk", "detach", "diagonal", "dropout", "expand", "expand_as",
    "movedim", "narrow", "permute", "select", "slice", "split", "split_with_sizes", "squeeze",
    "swapaxes", "t", "tensor_split", "transpose", "unbind", "unflatten", "unfold", "unsafe_chunk",
    "unsafe_split", "unsqueeze", "view", "view_as"};

constexpr std::string_view kMaybeView[] = {"_unsafe_view", "contiguous", "flatten", "reshape",
                                           "reshape_as", "to", "type_as"};

constexpr std::string_view kInPlace[] = {
    "abs_", "add_", "addcdiv_", "addcmul_", "ceil_", "clamp_", "clamp_max_", "clamp_min_", "copy_",
    "cos_", "div_", "elu_", "exp_", "fill_", "floor_", "hardsigmoid_", "hardswish_", "hardtanh_",
    "leaky_relu_", "lerp_", "log_", "masked_fill_", "mish_", "mul_", "neg_", "pow_", "reciprocal_",
    "relu6_", "relu_", "round_", "rsqrt_", "selu_", "sigmoid_", "silu_", "sin_", "sqrt_", "square_",
    "sub_", "tanh_", "threshold_", "tril_", "triu_", "zero_"};

// sym_size reads a tensor's size; the assertions are skipped by the runner.
constexpr std::string_view kNothing[] = {"_assert_scalar", "_assert_tensor_metadata", "sym_numel",
                                         "sym_size", "sym_storage_offset", "sym_stride"};

struct List {
  const std::string_view* begin;
  const std::string_view* end;
  OperatorTraits traits;
};

constexpr List kLists[] = {
    {std::begin(kFresh), std::end(kFresh), {Storage::kFresh}},
    {std::begin(kView), std::end(kView), {Storage::kView}},
    {std::begin(kMaybeView), std::end(kMaybeView), {Storage::kMaybeView}},
    {std::begin(kInPlace), std::end(kInPlace), {Storage::kInPlace}},
    {std::begin(kNothing), std::end(kNothing), {Storage::kNothing}},
};

static_assert(std::is_sorted(std::begin(kFresh), std::end(kFresh)));
static_assert(std::is_sorted(std::begin(kView), std::end(kView)));
static_assert(std::is_sorted(std::begin(kMaybeView), std::end(kMaybeView)));
static_assert(std::is_sorted(std::begin(kInPlace), std::end(kInPlace)));
static_assert(std::is_sorted(std::begin(kNothing), std::end(kNothing)));

constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kScalarFunctions = {{
    {"_operator.add", "sym::add"}, {"_operator.eq", "sym::eq"},
    {"_operator.floordiv", "sym::floordiv"}, {"_operator.ge", "sym::ge"},
    {"_operator.gt", "sym::gt"}, {"_operator.le", "sym::le"}, {"_operator.lt", "sym::lt"},
    {"_operator.mod", "sym::mod"}, {"_operator.mul", "sym::mul"}, {"_operator.ne", "sym::ne"},
    {"_operator.neg", "sym::neg"}, {"_operator.pow", "sym::pow"}, {"_operator.sub", "sym::sub"},
    {"torch.sym_max", "sym::max"}, {"torch.sym_min", "sym::min"}, {"torch.sym_not", "sym::not"},
    {"torch.sym_ite", "sym::ite"},
}};

}  // namespace

const OperatorTraits* find_operator(std::string_view op) {
  constexpr std::string_view kNamespace = "aten::";
  if (!op.starts_with(kNamespace)) return nullptr;
  const std::string_view name = op.substr(kNamespace.size());
  for (const List& list : kLists) {
    if (std::binary_search(list.begin, list.end, name)) return &list.traits;
  }
  return nullptr;
}

std::string_view find_scalar_function(std::string_view target) {
  for (const auto& [python, name] : kScalarFunctions) {
    if (python == target) return name;
  }
  return {};
}

}  // namespace kiln::sharding
