"""No library of ours sends anything, or writes to the home folder: seen from outside, by the system's own trace."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from linnet.no_telemetry import SENDER, VARIABLES

# A socket of an internet address, but for this machine's own.
OUTSIDE = re.compile(r"AF_INET6?,(?!.*(?:\"127\.|\"::1\"))")
STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@contextmanager
def traced(tmp_path, *command, **variables):
    """A process with an empty home folder, whose calls of the network are written to a file."""
    home = tmp_path / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if name not in {*VARIABLES, "CI"}}
    trace = tmp_path / "trace"
    tracer = [STRACE, "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
    process = subprocess.Popen(
        [*tracer, "-o", str(trace), sys.executable, *command],
        env=clean | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        yield process
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
    finally:
        process.kill()
        process.communicate()
    assert list(home.rglob("*")) == []
    sent = [line for line in trace.read_text().splitlines() if OUTSIDE.search(line)]
    assert sent == []


@needs_strace
def test_a_prediction_leaves_no_trace(bundle, tmp_path):
    code = f"import linnet; print(linnet.load({str(bundle)!r}).predict(['good day'])[0].label)"
    with traced(tmp_path, "-c", code) as process:
        assert process.stdout.readline() in ("negative\n", "positive\n")


@needs_strace
def test_a_service_leaves_no_trace(bundle, tmp_path):
    command = [
        "-m",
        "linnet.cli.main",
        "serve",
        str(bundle),
        "--port",
        "0",
        "--set",
        'prediction_log.url=""',
    ]
    with traced(tmp_path, *command) as process:
        assert process.stdout.readline().startswith("Serving ")
        front = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        subprocess.run(["kill", "-TERM", front], check=True)


@needs_strace
def test_a_training_leaves_no_trace(encoder, splits, tmp_path):
    flags = {"train.num_train_epochs": "1", "model.max_length": "16"}
    command = ["train", "--model", str(encoder), "--splits", str(splits), "--out", "trained"]
    sets = [part for name, value in flags.items() for part in ("--set", f"{name}={value}")]
    with traced(tmp_path, "-m", "linnet.cli.main", *command, *sets):
        pass


@needs_strace
@pytest.mark.parametrize(
    "module",
    [
        "linnet.predict.engine",
        pytest.param("linnet.export.quantize, nncf", marks=pytest.mark.slow),
    ],
)
def test_importing_leaves_no_trace(tmp_path, module):
    engines = ["openvino"] if importlib.util.find_spec("openvino") else []
    code = f"import {', '.join([module, *engines])}"
    with traced(tmp_path, "-c", code, MPLCONFIGDIR=str(tmp_path / "fonts")):  # not Linnet's own
        pass


@needs_strace
def test_a_bare_import_of_onnxruntime_is_seen(tmp_path):
    """The tests here can fail: ONNX Runtime leaves a trace where Linnet does not turn that off."""
    if version("onnxruntime") < "1.32":
        pytest.skip("this version has no telemetry on Linux")
    code = "import onnxruntime, time; time.sleep(1)"
    with pytest.raises(AssertionError), traced(tmp_path, "-c", code):
        pass


def test_what_was_imported_before_linnet_is_asked_to_stop():
    code = (
        "import onnxruntime; onnxruntime.disable_telemetry_events = lambda: print('asked'); "
        f"import linnet, sys; print(sys.modules[{SENDER!r}])"
    )
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["asked", "None"]


def test_the_image_turns_telemetry_off_too():
    text = (Path(__file__).parents[1] / "deploy" / "Dockerfile").read_text()
    for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        assert f'{name}="{VARIABLES[name]}"' in text
