"""Compute only the first token in the last layer, if the head reads no other.

That saves three quarters of the last layer's products; its attention still reads all tokens. Knows
ONNX graphs alone.
"""

from collections import defaultdict

import onnx
from onnx import NodeProto, helper, numpy_helper

# Operators whose answer for one token depends on that token alone, given that their other inputs
# are weights.
TOKEN_BY_TOKEN = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Gelu",
    "Erf",
    "Relu",
    "Tanh",
    "MatMul",
    "LayerNormalization",
}
AXIS = 1  # of the tokens, in tensors of shape (batch, sequence, width)
BOUNDS = "first_token_start", "first_token_end", "first_token_axis"


def only_first_token(model: onnx.ModelProto) -> None:
    """Change a graph in place so that only the first token is computed where no other is read.

    The answers stay the same. A graph without such a selection stays as it is.
    """
    graph = model.graph
    weights = {weight.name: weight for weight in graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape for value in graph.value_info}
    readers: dict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(graph.node):
        for name in node.input:
            readers[name].append(index)
    outputs = {output.name for output in graph.output}
    moved = {index for index, node in enumerate(graph.node) if _selects_first(node, weights)}
    for index in range(len(graph.node) - 1, -1, -1):  # readers come after what they read
        node = graph.node[index]
        read = [reader for name in node.output for reader in readers[name]]
        if (
            read
            and set(read) <= moved
            and not outputs & set(node.output)
            and _token_by_token(node, weights, shapes)
        ):
            moved.add(index)
    inside = [
        graph.node[index]
        for index in sorted(moved)
        if not _selects_first(graph.node[index], weights)
    ]
    produced = {name for node in inside for name in node.output}
    read_from_outside = {name for node in inside for name in node.input} - produced - set(weights)
    if inside:
        for name in produced:
            shapes[name].dim[AXIS].dim_value = 1
        _read_first(model, {node.name for node in inside}, read_from_outside)


def _read_first(model: onnx.ModelProto, inside: set[str], tensors: set[str]) -> None:
    """Let the nodes of some names read the first token of some tensors."""
    graph = model.graph
    for name, value in zip(BOUNDS, (0, 1, AXIS), strict=True):
        graph.initializer.append(helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value]))
    for tensor in sorted(tensors):
        first = f"{tensor}_first_token"
        places = [
            i for i, node in enumerate(graph.node) if node.name in inside and tensor in node.input
        ]
        for place in places:
            graph.node[place].input[:] = [
                first if name == tensor else name for name in graph.node[place].input
            ]
        graph.node.insert(
            places[0], helper.make_node("Slice", [tensor, *BOUNDS], [first], name=f"node_{first}")
        )
        described = graph.value_info.add()
        described.CopyFrom(next(value for value in graph.value_info if value.name == tensor))
        described.name = first
        described.type.tensor_type.shape.dim[AXIS].dim_value = 1


def _selects_first(node: NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Gather" or node.input[1] not in weights:
        return False
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    index = numpy_helper.to_array(weights[node.input[1]])
    return axis == AXIS and index.shape == () and int(index) == 0 and node.input[0] not in weights


def _token_by_token(
    node: NodeProto, weights: dict[str, onnx.TensorProto], shapes: dict[str, onnx.TensorShapeProto]
) -> bool:
    if node.op_type not in TOKEN_BY_TOKEN or any(name not in shapes for name in node.output):
        return False
    tensors = [name for name in node.input if name not in weights]
    if node.op_type == "MatMul" and (
        tensors != [node.input[0]] or len(weights[node.input[1]].dims) != 2
    ):
        return False
    if node.op_type == "LayerNormalization":
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
        if axis not in (-1, 2):
            return False
    small = (
        all(len(weights[name].dims) <= 1 for name in node.input if name in weights)
        or node.op_type == "MatMul"
    )
    return small and all(_is_tokens(name, shapes) for name in [*tensors, *node.output])


def _is_tokens(name: str, shapes: dict[str, onnx.TensorShapeProto]) -> bool:
    """Whether a tensor is of shape (batch, sequence, width), with a width that is known."""
    if name not in shapes or len(shapes[name].dim) != 3:
        return False
    batch, sequence, width = shapes[name].dim
    return (batch.dim_param, sequence.dim_param) == ("batch", "sequence") and width.dim_value > 0
