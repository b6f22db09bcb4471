"""`docker run IMAGE serve`, as SageMaker does it, without the docker: the command alone, the bundle in its folder.

"Custom Inference Code with Hosting Services": "How SageMaker AI Runs Your Inference Image" and "... Loads Your Model
Artifacts".
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linnet.cli.main import main
from linnet.config import load_config
from linnet.errors import UsageError
from linnet.serve.routes import container

LINNET = [sys.executable, "-m", "linnet.cli.main", "serve"]


@pytest.fixture
def base(bundle: Path, tmp_path: Path) -> Path:
    """A folder like SageMaker's /opt/ml, with the tiny bundle in it."""
    (tmp_path / "model").symlink_to(bundle)
    return tmp_path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def started(base: Path, *flags: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, in an environment that has no SageMaker variables but these."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SAGEMAKER_")
    }
    process = subprocess.Popen(
        [*LINNET, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=base,
        env=environment | variables | {"SAGEMAKER_BASE_DIR": str(base)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(port: int, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "text/csv"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


@pytest.mark.parametrize("sign", ["SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_BATCH"])
def test_the_command_alone_is_enough_inside_sagemaker(base, sign):
    port = free_port()
    flags = [] if sign == "SAGEMAKER_BIND_TO_PORT" else ["--port", str(port)]
    with started(
        base, *flags, **{sign: str(port) if sign == "SAGEMAKER_BIND_TO_PORT" else "true"}
    ) as process:
        line = process.stdout.readline()
        assert re.fullmatch(
            rf"Serving \S+ \([0-9a-f]{{12}}\) on http://0\.0\.0\.0:{port}\n", line
        ), process.stderr.read()
        assert ask(port, "/ping")
        assert ask(port, "/invocations", b"good day\nbad day\n").count(b"\n") == 2
        assert json.loads(ask(port, "/execution-parameters"))["MaxPayloadInMB"] == 6
        stopped = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - stopped < 30  # then comes SIGKILL
        assert process.returncode == 0
        assert f"No bundle was named, so {base / 'model'} is served as SageMaker has it" in err
        assert "is served as SageMaker has it. It asks for no keys." in err


def test_it_is_never_open_elsewhere(base):
    with started(base) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (UsageError.exit_code, "")
    assert "It asks for keys, as neither SAGEMAKER_BIND_TO_PORT nor SAGEMAKER_BATCH says" in err
    assert "There are no keys for a service on 0.0.0.0" in err


def test_keys_can_be_asked_for_inside_too(base):
    (base / "linnet.toml").write_text("[serve]\nno_auth = false\n")
    with started(base, SAGEMAKER_BIND_TO_PORT="0") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (UsageError.exit_code, "")
    assert "It asks for keys, as the settings have it." in err


def test_a_bundle_that_is_named_is_served_as_ever(base, bundle):
    with started(base, str(bundle), "--port", "0", SAGEMAKER_BIND_TO_PORT="8080") as process:
        assert "on http://127.0.0.1:" in process.stdout.readline()


def test_without_the_folder_a_bundle_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert main(["serve"]) == UsageError.exit_code
    assert f"got none, nor is there {tmp_path / 'model'}" in capsys.readouterr().err


def test_the_folder_is_sagemakers():
    with pytest.raises(UsageError, match="/opt/ml/model"):
        container.model_folder({})


def test_a_settings_file_goes_over_what_stands_in_for_the_defaults(tmp_path):
    file = tmp_path / "linnet.toml"
    file.write_text("[serve]\nport = 9\nno_auth = false\n")
    found = load_config(
        file, ["serve.host=::1"], container.sagemaker_defaults({"SAGEMAKER_BATCH": "true"})
    ).serve
    assert (found.host, found.port, found.no_auth, found.max_body_bytes) == (
        "::1",
        9,
        False,
        6 * 2**20,
    )


@pytest.mark.parametrize(("megabytes", "size"), [("", 6), ("0", 6), ("1", 1), ("100", 100)])
def test_a_batch_transform_says_how_large_its_requests_are(megabytes, size):
    found = container.sagemaker_defaults({"SAGEMAKER_MAX_PAYLOAD_IN_MB": megabytes})["serve"]
    assert (found["max_body_bytes"], found["port"], found["no_auth"]) == (size * 2**20, 8080, False)


@pytest.mark.parametrize("sent", ["http", "-1", "8080 "])
def test_a_port_that_is_none_is_one_sentence(sent):
    with pytest.raises(UsageError, match="Expected a number in SAGEMAKER_BIND_TO_PORT"):
        container.sagemaker_defaults({"SAGEMAKER_BIND_TO_PORT": sent})
