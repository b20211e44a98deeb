"""Which rule says what an operator does to the channels of its operands."""

from narrower.graph.channels import moves, norms, parts, products, recurrent, reductions
from narrower.graph.channels.labelling import Rule

_SAME = (
    "relu gelu silu mish sigmoid tanh hardtanh relu6 leaky_relu elu selu celu softplus hardswish hardsigmoid "
    "log_sigmoid softshrink hardshrink threshold rrelu clamp clamp_min clamp_max exp expm1 log log1p neg abs "
    "sqrt rsqrt square reciprocal erf sin cos tan atan sign round floor ceil clone contiguous detach alias "
    "dropout _to_copy to lift_fresh_copy zeros_like ones_like full_like zero fill"
)
_ELEMENTWISE = (
    "add sub mul div pow maximum minimum where rsub lerp addcmul addcdiv masked_fill remainder atan2 "
    "eq ne lt le gt ge logical_and logical_or logical_not copy"
)
_CONVOLUTIONS = "conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d"
_POOLS = (
    "max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool3d "
    "_adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d upsample_nearest1d "
    "upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d "
    "upsample_bicubic2d constant_pad_nd pad reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d"
)
_VIEWS = "view reshape _unsafe_view flatten unflatten unsqueeze squeeze"

_BY_NAMES: tuple[tuple[str, Rule], ...] = (
    (_SAME, moves.same),
    (_ELEMENTWISE, moves.elementwise),
    ("linear", products.linear),
    (_CONVOLUTIONS, products.convolution),
    ("_native_batch_norm_legit_no_training batch_norm instance_norm", norms.channel_norm),
    ("prelu", norms.prelu),
    ("_weight_norm", products.weight_norm),
    ("layer_norm native_layer_norm rms_norm", norms.layer_norm),
    ("group_norm native_group_norm", norms.group_norm),
    ("lstm gru rnn_tanh rnn_relu", recurrent.layers),
    ("embedding", products.embedding),
    (_POOLS, reductions.pool),
    ("mean sum amax amin max min logsumexp var std linalg_vector_norm", reductions.reduce),
    ("softmax _softmax log_softmax _log_softmax", reductions.softmax),
    ("cat", parts.cat),
    ("stack", parts.stack),
    ("split split_with_sizes chunk tensor_split unsafe_split unsafe_split_with_sizes", parts.split),
    ("slice", parts.sliced),
    ("select", parts.select),
    ("unbind", parts.unbind),
    ("index index_select", parts.index),
    ("slice_scatter", parts.written),
    ("select_scatter", parts.written_one),
    ("roll flip", moves.roll),
    ("new_zeros new_ones new_empty new_full zeros ones full empty", moves.made),
    ("getitem", parts.getitem),
    (_VIEWS, moves.view),
    ("permute", moves.permute),
    ("transpose t", moves.transpose),
    ("expand", moves.expand),
    ("repeat", moves.repeat),
    ("glu", parts.glu),
    ("channel_shuffle", moves.channel_shuffle),
    ("pixel_shuffle", moves.pixel_shuffle),
    ("pixel_unshuffle", moves.pixel_unshuffle),
    ("scaled_dot_product_attention", products.attention),
    ("matmul bmm mm addmm baddbmm", products.matmul),
)
RULES: dict[str, Rule] = {name: rule for names, rule in _BY_NAMES for name in names.split()}
