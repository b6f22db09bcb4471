"""The Dockerfile keeps the rules of good ones, and compose.yml names what there is; no container engine is needed."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from itertools import pairwise as pairs
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = runpy.run_path(str(ROOT / "scripts/image.py"))
LOCK = runpy.run_path(str(ROOT / "scripts/lock.py"))
TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
LINES = IMAGE["instructions"](TEXT)
LAST = LINES[-1].stage
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))


def of(word: str, stage: int | None = None) -> list[str]:
    return [line.rest for line in LINES if line.word == word and stage in (None, line.stage)]


def test_lines_are_read_as_docker_reads_them():
    read = IMAGE["instructions"](
        '# note\nFROM a:1 AS b\nRUN x \\\n    y\n\nFROM a:1\n  # note\nCMD ["z"]\n'
    )
    assert [(line.word, line.rest, line.stage) for line in read] == [
        ("FROM", "a:1 AS b", 0),
        ("RUN", "x y", 0),
        ("FROM", "a:1", 1),
        ("CMD", '["z"]', 1),
    ]


def test_every_base_is_pinned_and_both_stages_have_the_same():
    bases = [rest.split()[0] for rest in of("FROM")]
    assert len(bases) == 2 and len(set(bases)) == 1  # the virtual environment is tied to its Python
    assert re.fullmatch(r"[a-z/.]+:\d+(\.\d+)+-[a-z-]+@sha256:[0-9a-f]{64}", bases[0])
    version = re.search(r":(\d+\.\d+)", bases[0])[1]
    assert ("--python-version", version) in pairs(LOCK["FLAGS"])  # what is locked is for it


def test_it_does_not_run_as_root():
    order = [line.word for line in LINES if line.stage == LAST]
    assert order.count("USER") == 1 and "RUN" not in order[order.index("USER") :]
    user, _, group = of("USER")[0].partition(":")
    assert user.isdecimal() and group.isdecimal() and int(user) >= 10_000


@pytest.mark.parametrize("word", ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_what_runs_needs_no_shell(word):
    (rest,) = of(word, LAST)
    words = IMAGE["words_of"](LINES, word)
    assert words and words[0] not in ("sh", "bash", "/bin/sh")
    assert json.loads(rest[rest.index("[") :]) == words


def test_the_command_line_is_one_that_linnet_has():
    from linnet.cli.main import build_parser

    words = [*IMAGE["words_of"](LINES, "ENTRYPOINT"), *IMAGE["words_of"](LINES, "CMD")]
    assert words[0] == "linnet"
    arguments = build_parser().parse_args(words[1:])
    assert str(arguments.bundle) == "/bundle"
    assert of("EXPOSE") == ["8000"]  # serve.port


def test_the_health_check_asks_the_port_that_is_served(listening):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            asked.append(scope["path"])
            await send(
                {"type": "http.response.start", "status": statuses[len(asked) - 1], "headers": []}
            )
            await send({"type": "http.response.body"})

    asked, statuses, words = [], [200, 503], IMAGE["words_of"](LINES, "HEALTHCHECK")
    with listening(app) as address:
        for code in (0, 1):
            environment = {"SAGEMAKER_BIND_TO_PORT": address.rpartition(":")[2]}
            done = subprocess.run(
                [sys.executable, *words[1:]], env=environment, capture_output=True, timeout=60
            )
            assert done.returncode == code, done.stderr
    assert asked == ["/healthz"] * 2


def test_only_what_there_is_and_may_be_seen_is_copied():
    assert not of("ADD")
    inside = IMAGE["let_in"]()
    copied = [name for rest in of("COPY", 0) for name in rest.split()[:-1]]
    assert sorted(copied) == sorted(inside)
    assert all((ROOT / name).exists() for name in inside)
    assert all(
        rest.startswith("--from=build ") for rest in of("COPY", LAST)
    )  # no source in the image


def test_nothing_is_downloaded_but_pinned_packages_and_no_cache_is_kept():
    for rest in of("RUN"):
        assert not re.search(r"curl|wget|sudo|apt-get|chmod", rest)
        assert "pip" not in rest.split()[:1] or "--no-cache-dir" in rest
        if "pip" in rest and "install" in rest:
            assert "--require-hashes" in rest or "--no-index" in rest
        assert "pip wheel" not in rest or "--no-build-isolation" in rest


def test_every_locked_file_has_digests_and_the_image_has_the_tested_versions():
    tested = locked(ROOT / "requirements.txt")
    files = sorted((DEPLOY / "requirements").glob("*.txt"))
    assert [file.stem for file in files] == sorted(["build", "runtime", *LOCK["IMAGE_EXTRAS"]])
    for file in files:
        assert locked(file).items() <= tested.items(), file.name


def test_every_extra_of_the_runtime_can_be_built_in():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    others = {"train", "tensorboard", "track", "dev", "docs", "client"}
    assert set(LOCK["IMAGE_EXTRAS"]) == set(extras) - others


def locked(file: Path) -> dict[str, str]:
    """Package to version, of a file in which each has at least one digest."""
    entry = re.compile(r"([a-z0-9._-]+)==([a-z0-9.]+)(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")
    text = file.read_text(encoding="utf-8")
    assert entry.sub("", text) == "", file.name
    return {found[1]: found[2] for found in entry.finditer(text)}


@pytest.mark.parametrize("path", ["Dockerfile", "compose.yml"])
def test_no_secret_is_written_down(path):
    text = (DEPLOY / path).read_text(encoding="utf-8")
    for name, value in re.findall(
        r"(?i)([a-z_]*(?:password|secret|token|key)[a-z_]*)\s*[:=]\s*(.*)", text
    ):
        assert value.startswith("${") or value == "...", f"{name} has a value"
    assert not re.search(r"lk_[0-9a-f]{8}_", text)
    assert "deploy/prometheus/linnet.key" in (ROOT / ".gitignore").read_text().split()


def test_compose_names_images_by_version_and_listens_on_loopback_alone():
    for name, service in COMPOSE["services"].items():
        if "build" not in service:
            assert re.fullmatch(r"[a-z/]+:v?[0-9.]+@sha256:[0-9a-f]{64}", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    build = COMPOSE["services"]["linnet"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert COMPOSE["services"]["linnet"]["image"].endswith(f":{project_version()}")


def test_compose_mounts_what_there_is():
    mounts = [
        mount.split(":") for service in COMPOSE["services"].values() for mount in service["volumes"]
    ]
    for source in (mount[0] for mount in mounts if not mount[0].startswith("${BUNDLE")):
        assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), source


def test_grafana_finds_prometheus_and_the_dashboard():
    (source,) = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert COMPOSE["services"]["prometheus"]["network_mode"] == f"service:{host}"
    assert any(published.endswith(f":{port}") for published in COMPOSE["services"][host]["ports"])
    (provider,) = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/dashboards/linnet.yml").read_text()
    )["providers"]
    assert any(
        provider["options"]["path"] in mount for mount in COMPOSE["services"]["grafana"]["volumes"]
    )


def project_version() -> str:
    return re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]


@pytest.mark.slow
def test_the_image_is_what_serves(bundle):
    """Needs the package index; takes half a minute."""
    command = [sys.executable, ROOT / "scripts/image.py", bundle]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("It stopped with 0.\n")
    packages = set(re.search(r"^\d+ packages: (.*)", done.stdout, re.MULTILINE)[1].split(", "))
    names = {package.rpartition("-")[0] for package in packages}
    assert "linnet" in names
    assert not names & {
        "torch",
        "transformers",
        "scikit_learn",
        "scipy",
        "pyarrow",
        "matplotlib",
        "pytest",
        "pip",
    }
