"""How many operations each kind of operator does for one element, where it multiplies no matrices."""

# Operations for each element of the result.
PER_OUTPUT: dict[str, int] = {
    **dict.fromkeys(
        (
            *("relu", "add", "sub", "rsub", "mul", "div", "neg", "abs", "square", "reciprocal"),
            *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "pow"),
            *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
            *("asinh", "acosh", "atanh", "erf", "erfc", "sign", "sgn", "floor", "ceil", "round", "trunc"),
            *("frac", "remainder", "fmod", "floor_divide", "maximum", "minimum", "fmax", "fmin"),
            *("where", "masked_fill", "nan_to_num", "clamp_min", "clamp_max", "cumsum", "cumprod"),
            *("cummax", "cummin", "diff", "threshold", "hardshrink"),
        ),
        1,
    ),
    **dict.fromkeys(
        ("relu6", "hardtanh", "clamp", "clip", "leaky_relu", "prelu", "_prelu_kernel", "rrelu", "softshrink"),
        2,
    ),
    "batch_norm": 2,  # one multiplication and one addition: mean and variance are constants
    **dict.fromkeys(("sigmoid", "elu", "softplus", "lerp", "addcmul", "addcdiv", "logit", "logaddexp"), 3),
    **dict.fromkeys(("hardsigmoid", "silu", "selu", "celu", "log_sigmoid", "logcumsumexp"), 4),
    "glu": 4,  # a sigmoid and a product
    **dict.fromkeys(("gelu", "hardswish", "mish"), 5),
    # maximum, difference, exponential, sum, quotient
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax"), 5),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), 4),  # square, sum, scaling, weight
    # mean 1, variance 3, difference 1, scaling 1, weight and bias 2
    **dict.fromkeys(
        ("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm"), 8
    ),
    "_weight_norm": 3,  # square, sum, scaling
    # one multiplication for each neighbour, and the additions of their products
    **dict.fromkeys(("upsample_linear1d", "_upsample_linear1d"), 3),
    **dict.fromkeys(("upsample_bilinear2d", "_upsample_bilinear2d_aa", "grid_sampler", "grid_sampler_2d"), 7),
    **dict.fromkeys(("upsample_trilinear3d", "grid_sampler_3d"), 15),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa"), 31),
}
# Operations for each element that is read.
PER_INPUT: dict[str, int] = {
    **dict.fromkeys(
        (
            *("mean", "sum", "nansum", "prod", "amax", "amin", "aminmax", "max", "min", "col2im"),
            *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
            *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
            *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
        ),
        1,
    ),
    **dict.fromkeys(("linalg_vector_norm", "linalg_norm", "norm", "frobenius_norm"), 2),  # square, sum
    "logsumexp": 3,  # difference, exponential, sum
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), 4),  # mean 1, variance 3
    "pairwise_distance": 4,  # difference, offset, square, sum
    "cosine_similarity": 6,  # three sums of products
}
# Additions of what is written to what is there: one for each element that is written.
SCATTERED = frozenset({"scatter_add", "scatter_reduce", "index_add", "index_reduce"})
POOLING = frozenset(
    {
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
        *("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"),
    }
)
# Moves, copies, look-ups, constants, comparisons.
FREE = frozenset(
    {
        *("dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
        *("view", "view_as", "reshape", "reshape_as", "_reshape_alias", "_unsafe_view", "flatten", "ravel"),
        *("unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t", "numpy_T", "mT", "adjoint"),
        *("movedim", "moveaxis", "swapaxes", "swapdims", "as_strided", "alias", "detach", "resolve_conj"),
        *("resolve_neg", "view_as_real", "view_as_complex", "real", "imag", "complex"),
        *("expand", "expand_as", "broadcast_to", "broadcast_tensors", "repeat", "repeat_interleave", "tile"),
        *("meshgrid", "select", "slice", "narrow", "narrow_copy", "diagonal", "diag", "diag_embed"),
        *("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter", "masked_scatter"),
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"),
        *("block_diag", "cartesian_prod", "combinations", "atleast_1d", "atleast_2d", "atleast_3d"),
        *("split", "split_with_sizes", "split_copy", "split_with_sizes_copy", "unsafe_split", "tensor_split"),
        *("unsafe_split_with_sizes", "hsplit", "vsplit", "dsplit", "chunk", "unsafe_chunk", "unbind"),
        *("getitem", "clone", "contiguous", "copy", "_to_copy", "to", "type_as", "lift_fresh_copy", "fill"),
        *("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
        *("replication_pad1d", "replication_pad2d", "replication_pad3d", "_pad_circular"),
        *("embedding", "one_hot", "index", "_unsafe_index", "index_select", "index_put", "_unsafe_index_put"),
        *("index_copy", "index_fill", "gather", "take", "take_along_dim", "scatter"),
        *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
        *("im2col", "unfold", "unfold_copy", "roll", "flip", "fliplr", "flipud", "rot90", "tril", "triu"),
        *("tril_indices", "triu_indices", "arange", "linspace", "eye", "scalar_tensor", "zero"),
        *("full", "full_like", "new_full", "zeros", "zeros_like", "new_zeros"),
        *("ones", "ones_like", "new_ones", "empty", "empty_like", "new_empty", "empty_permuted"),
        *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
        *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
        *("max_unpool2d", "max_unpool3d"),
        *("eq", "ne", "gt", "lt", "ge", "le", "isnan", "isinf", "isfinite", "isin", "all", "any"),
        *("logical_not", "logical_and", "logical_or", "logical_xor"),
        *("bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor"),
        *("__and__", "__or__", "__lshift__", "__rshift__", "bitwise_left_shift", "bitwise_right_shift"),
        *("argmax", "argmin", "argsort", "sort", "topk", "kthvalue", "median", "bucketize", "searchsorted"),
    }
)
