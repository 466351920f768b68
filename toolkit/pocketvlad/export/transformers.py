"""What stands between a transformer's packed linear layers, as one op each."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from pocketvlad.compress.calibrate.int8_backbone import replace_module
from pocketvlad.lut.attention_layers import HEAD_STEP, FusedAttention, RowNorm
from pocketvlad.lut.layers import LutLinear
from pocketvlad.model.attention import attention


def fuse_tokens(graph: fx.GraphModule) -> None:
    """Self-attention behind packed linear layers and norms of the last dimension as ops of their own, in place."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target is attention:
            _fuse_attention(graph, node)
        elif node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
                replace_module(graph, str(node.target), RowNorm(module))


def _fuse_attention(graph: fx.GraphModule, node: fx.Node) -> None:
    arguments: Any = node.args
    qkv, heads, scale = arguments
    layer = graph.get_submodule(str(qkv.target)) if qkv.op == "call_module" else None
    if not isinstance(layer, LutLinear) or layer.out_features % (3 * heads * HEAD_STEP):
        return
    name = f"{node.name}_fused"
    graph.add_submodule(name, FusedAttention(heads, scale))
    with graph.graph.inserting_before(node):
        found = graph.graph.call_module(name, (qkv,))
    node.replace_all_uses_with(found)
    graph.graph.erase_node(node)
