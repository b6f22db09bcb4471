"""The standard clients of the two protocols, each in a virtual environment of its own.

They bring many packages, some in other versions than Linnet's own, so `make clients` installs them
below `.clients/`, or below the folder that LINNET_CLIENTS names. Without them a test is skipped.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("LINNET_CLIENTS", HERE.parents[1] / ".clients"))
TEXTS = ["I love this film", 'so bad, "so" very not good', "naïve שלום 👩", "rain " * 100]

pytestmark = pytest.mark.slow


def program(client: str, name: str) -> str:
    """The path of a program of a client's environment."""
    path = FOLDER / client / "bin" / name
    if not path.is_file():
        pytest.skip(f"{path} does not exist. Install the clients: make clients")
    return str(path)


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(client: str, address: str, *arguments: str) -> dict:
    script = str(HERE / "clients" / f"ask_{client}.py")
    printed = run(program(client, "python"), script, address, *arguments, given=json.dumps(TEXTS))
    return json.loads(printed.splitlines()[-1])  # SageMaker's SDK logs to the same stream


@pytest.fixture(scope="module")
def labels(classifier) -> list[str]:
    return [prediction.label for prediction in classifier.predict(TEXTS)]


def check_rows(found: dict, classifier, *, names: list[str] | None = None) -> None:
    expected = classifier.predict(TEXTS)
    if names is not None:
        assert list(found) == names
    assert found["label"] == [one.label for one in expected]
    if "truncated" in found:
        assert found["truncated"] == [one.truncated for one in expected]
    if names is None:
        assert found["probability"] == pytest.approx([one.probability for one in expected])
        probabilities = [list(one.probabilities.values()) for one in expected]
        assert len(found["probabilities"]) == len(probabilities)
        for row, wanted in zip(found["probabilities"], probabilities, strict=True):
            assert row == pytest.approx(wanted)


@pytest.mark.parametrize("packed", [(), ("gzip",)])
def test_tritonclient_with_its_defaults(address, classifier, packed):
    found = ask("tritonclient", address, *packed)
    sync = found["sync"]
    assert (sync["live"], sync["ready"], sync["other is ready"]) == (True, True, False)
    assert sync["extensions"] == ["binary_tensor_data"]
    assert sync["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert sync["id"] == "42"
    for name in ("default", "async", "json"):
        check_rows(sync[name], classifier)
    check_rows(sync["plain"], classifier, names=["label"])
    check_rows(sync["outputs"], classifier, names=["label", "truncated"])
    assert "'classification' is not supported" in sync["classes"]
    assert "one of the models champion" in sync["unknown"]
    assert "Text 1: The text is empty" in sync["empty"]
    assert found["asyncio"]["ready"]
    check_rows(found["asyncio"]["default"], classifier)


def test_kserves_client(address, classifier):
    found = ask("kserve", address)
    assert (found["ready"], found["other is ready"]) == (True, False)
    assert found["default"]["response id"] == "42"
    for name in ("default", "numpy", "binary", "binary out"):
        check_rows(found[name], classifier)
    check_rows(found["outputs"], classifier, names=["label", "response id"])
    assert "one of the models champion" in found["unknown"]


@pytest.mark.parametrize("options", [(), ("--binary-data", "--batch-size", "3")])
def test_mlservers_infer(address, classifier, tmp_path, options):
    """Its input has one request per line; it writes one answer per line, in any order."""
    requests = [
        {
            "id": str(row),
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}],
        }
        for row, text in enumerate(TEXTS)
    ]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in requests))
    run(
        program("mlserver", "mlserver"),
        *("infer", "--url", address.removeprefix("http://"), "--model-name", "champion"),
        *("--input-data-path", str(source), "--output-data-path", str(target), *options),
    )
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    assert sorted(answer["id"] for answer in answers) == sorted(one["id"] for one in requests)
    expected = classifier.predict(TEXTS)
    for answer in answers:
        data = {output["name"]: output["data"] for output in answer["outputs"]}
        assert data["label"] == [expected[int(answer["id"])].label]
        assert data["probability"] == pytest.approx([expected[int(answer["id"])].probability])


def test_sagemakers_serializers(address, labels):
    found = ask("sagemaker", address)
    assert len(found) == 15
    assert found == dict.fromkeys(found, labels)
