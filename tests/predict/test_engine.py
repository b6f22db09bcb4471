"""Both engines keep one contract: a graph is run, or refused in a sentence: damaged, foreign, or not self-contained."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from linnet.bundle import Bundle
from linnet.errors import BundleError, MissingExtraError
from linnet.predict import openvino_engine
from linnet.predict.engine import ENGINES, Engine, open_engine
from linnet.predict.onnx_engine import OnnxEngine
from linnet.predict.openvino_engine import OpenVinoEngine
from linnet.predict.plan import Plan
from linnet.predict.runner import Runner

from ..processor import computes_in_bfloat16

INPUTS = ("input_ids", "attention_mask")


@pytest.fixture(scope="module")
def model(bundle: Path) -> Path:
    return Bundle.read(bundle).model_path()


def write_model(
    path: Path, nodes: list[onnx.NodeProto], weights: list[TensorProto] | None = None, **names: str
) -> None:
    inputs = [
        helper.make_tensor_value_info(
            names.get(name, name), TensorProto.INT64, ["batch", "sequence"]
        )
        for name in INPUTS
    ]
    output = helper.make_tensor_value_info(names.get("logits", "logits"), TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", inputs, [output], weights or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    )


def cast(output: str = "logits") -> onnx.NodeProto:
    return helper.make_node("Cast", ["input_ids"], [output], to=TensorProto.FLOAT)


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    """An engine; what it is asked to load is given to `load`."""
    return str(request.param)


def load(name: str, path: Path, num_sessions: int = 1) -> Engine:
    return open_engine(path, Plan(engine=name, num_threads=1, num_sessions=num_sessions))


def rows_of_every_length(draw: np.random.Generator) -> list[list[int]]:
    return [draw.integers(100, size=length).tolist() for length in range(1, 65)]


def test_any_batch_and_length(model: Path, name: str) -> None:
    engine = load(name, model)
    for shape in [(1, 1), (1, 64), (7, 3), (33, 64)]:
        ids = np.ones(shape, np.int64)
        logits = engine.run(ids, ids)
        assert logits.shape == (shape[0], 2)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()


def test_every_length_is_answered_as_by_the_other(model: Path, name: str) -> None:
    rows = rows_of_every_length(np.random.default_rng(0))
    expected = Runner(model, Plan(num_threads=1), 0, 5).logits(rows)
    for max_batch_tokens in (1, 200, 100_000):
        runner = Runner(model, Plan(name, num_threads=1, max_batch_tokens=max_batch_tokens), 0, 5)
        np.testing.assert_allclose(runner.logits(rows), expected, atol=1e-4)
    assert runner.logits([]).shape == (0, 2)


def test_padding_changes_nothing(model: Path, name: str) -> None:
    engine = load(name, model)
    ids = np.array([[2, 7, 8, 3]])
    alone = engine.run(ids, np.ones_like(ids))
    wide = np.pad(ids, ((0, 0), (0, 20)))
    padded = engine.run(wide, (np.arange(24) < 4).astype(np.int64)[None])
    np.testing.assert_allclose(alone, padded, atol=1e-5)


@pytest.mark.parametrize("num_sessions", [1, 3])
def test_callers_at_once_get_their_own_answers(model: Path, name: str, num_sessions: int) -> None:
    engine = load(name, model, num_sessions)
    rows = rows_of_every_length(np.random.default_rng(1))
    inputs = [(np.array([row]), np.ones((1, len(row)), np.int64)) for row in rows]
    expected = [engine.run(*one) for one in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: engine.run(*one), inputs * 5))
    np.testing.assert_allclose(np.concatenate(answers), np.concatenate(expected * 5), atol=1e-5)


def test_an_answer_is_not_overwritten_by_the_next(model: Path, name: str) -> None:
    engine = load(name, model)
    first = engine.run(np.array([[2, 7, 3]]), np.ones((1, 3), np.int64))
    kept = first.copy()
    engine.run(np.array([[2, 9, 3]]), np.ones((1, 3), np.int64))
    assert (first == kept).all()


@pytest.mark.parametrize("token", [10_000, -10_000])
def test_ids_that_the_graph_cannot_take(model: Path, name: str, token: int) -> None:
    ids = np.full((1, 4), token)
    with pytest.raises(BundleError, match=r"model\.onnx refuses token ids up to .* in rows of 4: "):
        load(name, model).run(ids, np.ones_like(ids))


def test_more_tokens_than_the_graph_reads(model: Path) -> None:
    ids = np.ones((1, 65), np.int64)
    with pytest.raises(
        BundleError, match=r"model\.onnx refuses token ids up to .* in rows of 65: "
    ):
        OnnxEngine(model).run(ids, ids)


@pytest.mark.skipif(not computes_in_bfloat16(), reason="this processor doesn't compute in bfloat16")
def test_bfloat16_is_nearly_the_same(model: Path) -> None:
    rows = rows_of_every_length(np.random.default_rng(2))
    exact, rough = (
        Runner(model, Plan("openvino", variant, 1), 0, 5).logits(rows)
        for variant in ("fp32", "bf16")
    )
    assert 0 < np.abs(exact - rough).max() < 0.1


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has OpenVINO looked for anew by each engine."""
    monkeypatch.setattr(openvino_engine, "_core", openvino_engine._core.__wrapped__)


@pytest.mark.usefixtures("forgetful")
def test_a_processor_without_bfloat16(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    class Old(openvino.Core):
        def get_property(self, device: str, name: str) -> object:
            return ["FP32"] if name == "OPTIMIZATION_CAPABILITIES" else "Old CPU"

    monkeypatch.setattr(openvino, "Core", Old)
    with pytest.raises(
        BundleError,
        match=r"This processor \(Old CPU\) doesn't compute in bf16.*Choose another variant",
    ):
        OpenVinoEngine(model, precision="bf16")


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("method", ["__init__", "get_property"])
def test_openvino_that_does_not_work_here(
    model: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    import openvino

    def fail(*arguments: object) -> None:
        raise RuntimeError("Cannot load library\nlibopenvino_intel_cpu_plugin.so.")

    monkeypatch.setattr(openvino, "Core", type("Broken", (openvino.Core,), {method: fail}))
    with pytest.raises(
        BundleError,
        match=r"can't be used here: Cannot load library libopen\S+\.so\. Choose another",
    ):
        OpenVinoEngine(model)


@pytest.mark.usefixtures("forgetful")
def test_openvino_is_missing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'linnet-text\[openvino\]'"):
        OpenVinoEngine(model)


# One process an engine: what it may have in memory can't be raised again, and is known only once all is loaded.
EXHAUSTED = """
import resource, sys
from pathlib import Path
import numpy as np
from linnet.errors import OutOfMemoryError
from linnet.predict.engine import open_engine
from linnet.predict.plan import Plan

engine = open_engine(Path(sys.argv[2]), Plan(engine=sys.argv[1], num_threads=1))
some, many = np.full((20_000, 2), 5), np.full((20_000, 64), 7)  # as many rows: the former answer would pass for one
former = engine.run(some, np.ones_like(some))
mask = np.ones_like(many)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, resource.RLIM_INFINITY))
try:
    engine.run(many, mask)
except OutOfMemoryError as error:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(error, flush=True)
    try:
        assert (engine.run(some, np.ones_like(some)) == former).all()
    except OutOfMemoryError:  # OpenVINO does not get over it
        engine = open_engine(Path(sys.argv[2]), Plan(engine=sys.argv[1], num_threads=1))
        assert (engine.run(some, np.ones_like(some)) == former).all()
"""


def test_memory_that_runs_out_is_told_and_the_former_answer_is_not_given_again(
    model: Path, name: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, name, model], capture_output=True, text=True
    )
    if (
        name == "openvino" and done.returncode < 0
    ):  # C++ that ends the process answers nothing wrong either
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Memory ran out while ")
    assert "computed 20,000 rows of 64 tokens. Lower predict.max_batch_tokens" in done.stdout


LOADED = """
import resource, sys
from pathlib import Path
from linnet.errors import OutOfMemoryError
from linnet.predict.engine import open_engine
from linnet.predict.plan import Plan

plan = Plan(engine=sys.argv[1], num_threads=1)
open_engine(Path(sys.argv[2]), plan)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
for room in (1, 16, 64):
    resource.setrlimit(resource.RLIMIT_AS, (used + room * 2**20, resource.RLIM_INFINITY))
    try:
        open_engine(Path(sys.argv[3]), plan)
    except OutOfMemoryError as error:
        print(error)
"""


@pytest.mark.parametrize("beside", [False, True])
def test_memory_that_runs_out_while_a_model_is_loaded_is_told(
    model: Path, tmp_path: Path, name: str, beside: bool
) -> None:
    weights = numpy_helper.from_array(np.ones((50, 2**20), np.float32), "table")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["logits"], keepdims=0),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    write_model(tmp_path / "large.onnx", nodes, [weights, axis])
    if beside:
        content = onnx.load(tmp_path / "large.onnx")
        onnx.save(
            content, tmp_path / "large.onnx", save_as_external_data=True, location="large.onnx.data"
        )
    command = [sys.executable, "-c", LOADED, name, model, tmp_path / "large.onnx"]
    done = subprocess.run(command, capture_output=True, text=True)
    if name == "openvino" and done.returncode < 0:
        return
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.count(f"loaded {tmp_path / 'large.onnx'}. Lower predict.max_batch_tokens") == 3
    )


def test_an_engine_that_nobody_knows(model: Path) -> None:
    with pytest.raises(
        BundleError, match=r"Expected one of the engines onnxruntime, openvino; got 'tensorrt'"
    ):
        load("tensorrt", model)


def test_num_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OnnxEngine(model, num_threads=3).num_threads == 3
    monkeypatch.setattr("linnet.predict.onnx_engine.available_cores", lambda: 5)
    assert OnnxEngine(model).num_threads == 5


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(model: Path, tmp_path: Path, name: str, share: float) -> None:
    content = model.read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=r"m\.onnx"):
        load(name, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "content", [b"not a model", b"\0" * 1000, b"\xff" * 1000, json.dumps({}).encode()]
)
def test_not_onnx(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"Expected an ONNX model in .*m\.onnx"):
        load(name, tmp_path / "m.onnx")


def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"m\.onnx can't be read: [Nn]o such file"):
        load(name, tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="can't be read"):
        load(name, tmp_path)


def test_other_inputs_or_outputs(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "a.onnx", [cast("scores")], logits="scores")
    with pytest.raises(
        BundleError, match=r"to logits in .*a\.onnx; got one of input_ids, attention_mask to scores"
    ):
        load(name, tmp_path / "a.onnx")
    write_model(tmp_path / "b.onnx", [cast()], attention_mask="token_type_ids")
    with pytest.raises(BundleError, match="got one of input_ids, token_type_ids"):
        load(name, tmp_path / "b.onnx")


@pytest.mark.parametrize("axes", [[0, 1], []])
def test_logits_of_another_shape(tmp_path: Path, name: str, axes: list[int]) -> None:
    node = helper.make_node(
        "ReduceSum", ["x", "axes"], ["logits"], keepdims=0, noop_with_empty_axes=0
    )
    if not axes:
        node = helper.make_node("Unsqueeze", ["x", "axes"], ["logits"])
    weight = numpy_helper.from_array(np.array(axes or [2]), "axes")
    write_model(tmp_path / "m.onnx", [cast("x"), node], [weight])
    with pytest.raises(
        BundleError, match=r"of the shape \(.*\); expected \(1, labels\)\. It is no model that"
    ):
        Runner(tmp_path / "m.onnx", Plan(name), 0, 5)


def test_custom_operator_is_refused(tmp_path: Path, name: str) -> None:
    write_model(
        tmp_path / "m.onnx",
        [helper.make_node("Evil", ["input_ids"], ["logits"], domain="com.example")],
    )
    with pytest.raises(BundleError, match="Evil"):
        load(name, tmp_path / "m.onnx")


@pytest.mark.parametrize("as_constant", [False, True], ids=["initializer", "constant"])
@pytest.mark.parametrize(
    "where", ["in the current folder", "above", "absolute", "by a link", "through the model"]
)
@pytest.mark.parametrize("name", ENGINES)
def test_weights_outside_of_the_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str, as_constant: bool
) -> None:
    folder, current = tmp_path / "bundle", tmp_path / "current"
    folder.mkdir()
    current.mkdir()
    monkeypatch.chdir(current)
    for place in (current, tmp_path):
        np.ones((64, 64), np.float32).tofile(place / "secret.bin")
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    location = {
        "in the current folder": "secret.bin",
        "absolute": str(tmp_path / "secret.bin"),
        "by a link": "link.bin",
        "through the model": "m.onnx/../../secret.bin",
    }.get(where, "../secret.bin")
    weight = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[64, 64], data_location=TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value=location)
    nodes = [cast("x"), helper.make_node("MatMul", ["x", "w"], ["logits"])]
    if as_constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    write_model(folder / "m.onnx", nodes, [] if as_constant else [weight])
    with pytest.raises(BundleError, match=r"m\.onnx"):
        load(name, folder / "m.onnx")


def test_a_signal_finds_its_stack_when_models_of_openvino_have_come_and_gone(bundle):
    pytest.importorskip("openvino")
    script = """if True:
        import faulthandler, gc, signal, sys
        from pathlib import Path
        from linnet.predict.openvino_engine import OpenVinoEngine

        faulthandler.enable()
        first = OpenVinoEngine(Path(sys.argv[1]), 1)
        second = OpenVinoEngine(Path(sys.argv[1]), 1)
        for name in ("first", "second"):
            del globals()[name]
            gc.collect()
        signal.signal(signal.SIGINT, lambda *_: print("handled"))
        signal.raise_signal(signal.SIGINT)
    """
    command = [sys.executable, "-c", script, str(bundle / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
