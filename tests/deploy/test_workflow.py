"""The project's workflow and forms: no finding of any linter, and the verbs that CI calls."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOW = GITHUB / "workflows" / "ci.yml"
SYSTEM_PACKAGES = "sudo bash .ci/packages"
BIN = Path(sys.executable).parent
FORMS = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml"))
SCHEMAS = {
    WORKFLOW: "vendor.github-workflows",
    GITHUB / "dependabot.yml": "vendor.dependabot",
    **{form: "vendor.github-issue-forms" for form in FORMS if form.stem != "config"},
    GITHUB / "ISSUE_TEMPLATE" / "config.yml": "vendor.github-issue-config",
}


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    return found


def commands() -> list[str]:
    return [step["run"] for job in jobs().values() for step in job["steps"] if "run" in step]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_actionlint_has_no_finding():
    assert run(BIN / "actionlint", WORKFLOW) == ""


def test_zizmor_has_no_finding():
    run(BIN / "zizmor", "--offline", "--persona", "pedantic", "--quiet", GITHUB)


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_each_file_keeps_its_schema(file: Path):
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", SCHEMAS[file], str(file)])
    assert done.exit_code == 0, done.output


def test_every_file_is_checked():
    assert {*GITHUB.rglob("*.yml")} == {*SCHEMAS}


def test_every_action_is_pinned_by_its_digest():
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text(encoding="utf-8"))
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_no_job_has_more_rights_than_reading():
    assert yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["permissions"] == {}
    for job in jobs().values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 60


def test_it_calls_the_verbs_that_ci_calls_here():
    here = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    verbs = {command for command in commands() if command.startswith("make ")}
    assert {verb.partition(" WHEEL_PYTHON=")[0] for verb in verbs} == {
        line for line in here if line.startswith("make ")
    }
    assert {*commands()} - verbs == {SYSTEM_PACKAGES}
    assert SYSTEM_PACKAGES.removeprefix("sudo ") in here


@pytest.mark.parametrize("command", sorted({*commands()} - {SYSTEM_PACKAGES}))
def test_make_knows_what_each_step_calls(command: str):
    run("make", "--dry-run", *command.split()[1:])


def test_the_wheel_is_tested_with_each_python_that_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = [name.rpartition(" ")[2] for name in project["classifiers"] if ":: 3." in name]
    assert project["requires-python"] == f">={versions[0]}"
    asked = re.findall(r"WHEEL_PYTHON=python(\S+)", "\n".join(commands()))
    assert asked == versions[1:]
    (installed,) = [
        step["with"]["python-version"].split()
        for step in jobs()["package"]["steps"]
        if "setup-python" in step.get("uses", "")
    ]
    # The last one is `python3`, which makes .venv.
    assert installed == [*versions[1:], versions[0]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", sorted({*commands()} - {"make test"}))
def test_the_steps_run(command: str):
    """All but the tests themselves, which would run this one again."""
    wanted = command.rpartition("WHEEL_PYTHON=")[2]
    if wanted != command and not shutil.which(wanted):
        pytest.skip(f"needs {wanted}")
    run("bash", "-e", "-c", command.removeprefix("sudo "))


def test_the_verbs_name_tests_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    lists = re.findall(r"^(?:LOWEST_TESTS|NOT_WITH_LOWEST|WHEEL_TESTS) := (.+)$", makefile, re.M)
    assert len(lists) == 3
    for name in " ".join(lists).split():
        assert (ROOT / "tests" / name.removeprefix("tests/")).exists(), name
