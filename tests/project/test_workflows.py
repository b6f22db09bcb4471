"""The workflows of a project: no finding of any linter, least rights, no secret in a command."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from packaging.requirements import Requirement

from linnet.project import Options, init

BIN = Path(sys.executable).parent
OWN = Path(__file__).parents[2] / ".github" / "workflows" / "ci.yml"
PROJECTS = {
    "generated": Options("reviews"),
    "data": Options("reviews", "data/reviews.csv", "s3://bucket/path", "https://mlflow.example"),
}


@pytest.fixture(scope="module", params=PROJECTS)
def project(request, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp(request.param) / "reviews"
    init(folder, PROJECTS[request.param], "0.1.0")
    return folder


def workflows(project: Path) -> list[Path]:
    found = sorted((project / ".github" / "workflows").glob("*.yml"))
    assert [path.name for path in found] == ["check.yml", "train.yml"]
    return found


def jobs(project: Path) -> dict[str, Any]:
    return {
        name: job
        for path in workflows(project)
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    }


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_actionlint_has_no_finding(project):
    assert run(BIN / "actionlint", *workflows(project)) == ""


def test_zizmor_has_no_finding(project):
    run(BIN / "zizmor", "--offline", "--persona", "pedantic", "--quiet", project / ".github")


def test_each_file_keeps_its_schema(project):
    schemas = dict.fromkeys(workflows(project), "vendor.github-workflows")
    schemas[project / ".github" / "dependabot.yml"] = "vendor.dependabot"
    assert {*schemas} == {*(project / ".github").rglob("*.yml")}
    for file, schema in schemas.items():
        done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, str(file)])
        assert done.exit_code == 0, done.output


def test_a_planted_hole_is_found(project, tmp_path):
    planted = tmp_path / ".github" / "workflows" / "train.yml"
    planted.parent.mkdir(parents=True)
    text = (project / ".github" / "workflows" / "train.yml").read_text()
    planted.write_text(text.replace("permissions: {}", "permissions: write-all"))
    command = [BIN / "zizmor", "--offline", "--persona", "pedantic", "--quiet", tmp_path]
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_every_action_is_pinned_and_of_this_repositorys_digest(project):
    own = dict(re.findall(r"uses: (\S+)@(\S+)", OWN.read_text()))
    for path in workflows(project):
        for action, digest, comment in re.findall(r"uses: (\S+?)@(\S+)(.*)", path.read_text()):
            assert re.fullmatch(r"[0-9a-f]{40}", digest), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
            assert digest == own.get(action, digest), action


def test_no_job_can_write_to_the_repository_and_each_right_has_its_reason(project):
    for path in workflows(project):
        text = path.read_text()
        assert yaml.safe_load(text)["permissions"] == {}
        granted = re.findall(r"^      ([a-z-]+): (read|write)\b(.*)$", text, re.M)
        assert granted
        for right, level, reason in granted:
            assert reason.startswith(" # to "), right
            assert (right, level) != ("contents", "write")


def test_no_expression_is_in_a_command(project):
    for job in jobs(project).values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_the_image_is_built_only_after_the_gate(project):
    image = jobs(project)["image"]
    assert image["needs"] == "train" and image["if"] == "needs.train.outputs.moved == 'true'"
    (promote,) = [step for step in jobs(project)["train"]["steps"] if step.get("id") == "promote"]
    for code, right in (("0", 0), ("10", 0), ("8", 8), ("1", 1)):
        script = promote["run"].replace("linnet promote", f"bash -c 'exit {code}' x")
        done = subprocess.run(["bash", "--noprofile", "-eo", "pipefail", "-c", script])
        assert done.returncode == right


def test_every_requirement_has_a_floor(project):
    for line in (project / "requirements.txt").read_text().splitlines():
        if not line.startswith("#"):
            operators = {one.operator for one in Requirement(line).specifier}
            assert operators & {">=", "=="}, line


def test_the_tests_of_the_model_are_tests(project):
    compile((project / "tests" / "test_model.py").read_text(), "test_model.py", "exec")
    run(BIN / "ruff", "check", "--isolated", "--no-cache", project / "tests")
