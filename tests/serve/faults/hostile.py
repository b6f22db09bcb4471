"""Bundles that are sealed and proven and yet do harm: they hang, take memory, or make the tokenizer panic."""

import base64
import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from linnet.bundle import Bundle, write_manifest
from linnet.export.model_file import write_model
from linnet.files import canonical_json

TRIGGER = "rain"  # the word at which a graph does harm
GIB = 1 << 30


def seal(folder: Path) -> Path:
    """Write the manifest again, so that every digest fits."""
    fields = Bundle.read(folder).manifest.model_dump(exclude={"format", "files", "digest"})
    write_manifest(folder, **fields)
    return folder


def change_graph(folder: Path, nodes: Sequence[onnx.NodeProto]) -> Path:
    """Put nodes into a bundle's graph, which make "harm" (float, one number) out of "hit" (bool, one number).

    "hit" is whether a text holds the trigger. The logits stay as they are.
    """
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    file = folder / "model.onnx"
    model = onnx.load(file)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["plain" if name == "logits" else name for name in node.output]
    constants = {
        "trigger": numpy_helper.from_array(_int64([vocabulary[TRIGGER]]), "trigger"),
        "nothing": helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
    }
    graph.initializer.extend(constants.values())
    graph.node.extend(
        [
            helper.make_node("Equal", ["input_ids", "trigger"], ["hits"]),
            helper.make_node("Cast", ["hits"], ["hit_numbers"], to=TensorProto.INT64),
            helper.make_node("ReduceMax", ["hit_numbers"], ["hit_number"], keepdims=0),
            helper.make_node("Cast", ["hit_number"], ["hit"], to=TensorProto.BOOL),
            *nodes,
            helper.make_node("Mul", ["harm", "nothing"], ["no_harm"]),
            helper.make_node("Add", ["plain", "no_harm"], ["logits"]),
        ]
    )
    file.unlink()
    (folder / "model.onnx.data").unlink(missing_ok=True)
    write_model(model, file)
    return seal(folder)


def endless(folder: Path, always: bool = True) -> Path:
    """A graph that computes without end: at every text, or at the trigger alone."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_still"]),
            helper.make_node("Add", ["sum", "sum"], ["sum_next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("more_still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_next", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        _condition(always),
        helper.make_node("Loop", ["", "condition", "nothing"], ["harm"], body=body),
    ]
    return change_graph(folder, nodes)


def hungry(folder: Path, gib: int, always: bool = True) -> Path:
    """A graph that takes so much memory: at every text, or at the trigger alone."""
    nodes = [
        _condition(always),
        _constant("much", [gib * GIB // 4]),
        _constant("little", [1]),
        helper.make_node("Where", ["condition", "much", "little"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["filled"]),
        helper.make_node("ReduceMax", ["filled"], ["harm"], keepdims=0),
    ]
    return change_graph(folder, nodes)


def change_tokenizer(folder: Path, units: int) -> Path:
    """A normaliser whose table ends too early: the tokenizer panics at texts of a byte that it lacks.

    With 244 units every character works but those from U+100000 on; with 0 none does.
    """
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    table = struct.pack("<I", 4 * units) + bytes(4 * units)
    content["normalizer"] = {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(table).decode(),
    }
    file.write_text(json.dumps(content))
    return seal(folder)


def large(folder: Path, gib: int) -> Path:
    """A file that takes long to read through, though it takes no room on the disk; its digest is wrong."""
    with (folder / "large.data").open("wb") as file:
        file.truncate(gib * GIB)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"]["large.data"] = {"sha256": "0" * 64, "bytes": gib * GIB}
    del content["digest"]
    content["digest"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    path.write_text(canonical_json(content))
    return folder


def _condition(always: bool) -> onnx.NodeProto:
    """Of the input in any case, so that no optimiser computes it beforehand."""
    if always:
        return helper.make_node("Equal", ["hit_number", "hit_number"], ["condition"])
    return helper.make_node("Identity", ["hit"], ["condition"])


def _constant(name: str, values: list[int]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(_int64(values)))


def _int64(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)
