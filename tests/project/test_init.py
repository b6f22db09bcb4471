"""A project is written whole, overwrites nothing, and knows how it differs from its template."""

import configparser
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli.main import main
from linnet.config import load_config
from linnet.errors import UsageError
from linnet.project import Options, drift, init
from linnet.project.record import RECORD
from linnet.project.template import FILES

CSV = "text,label\nfine day,positive\nbad day,negative\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "my reviews (1).csv"
    file.write_text(CSV)
    return file


def test_each_file_is_written_and_explained(tmp_path, capsys):
    assert main(["init", str(tmp_path / "reviews")]) == 0
    folder = tmp_path / "reviews"
    assert {*contents(folder)} == {*FILES, RECORD}
    readme = (folder / "README.md").read_text()
    for path, text in FILES.items():
        assert f"| `{path}` | {text} |" in readme
    assert "@@" not in "".join(file.decode() for file in contents(folder).values())


def test_the_files_mean_what_they_were_asked(tmp_path, data):
    folder = tmp_path / "reviews"
    where = ["--remote", "s3://bucket/deep", "--tracking", "https://mlflow.example:5000/x"]
    assert main(["init", str(folder), "--data", str(data), *where]) == 0
    config = load_config(folder / "linnet.toml")
    assert config.data.source == "data/my-reviews-1.csv"
    assert (folder / config.data.source).read_text() == CSV
    assert config.track.uri == "https://mlflow.example:5000/x"
    assert config.run.name == config.track.model == "reviews"
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    assert config.data.source in stages["prepare"]["deps"]
    storage = configparser.ConfigParser()
    storage.read(folder / ".dvc" / "config")
    assert storage["'remote \"storage\"'"]["url"] == "s3://bucket/deep"


def test_every_output_persists_and_every_section_is_in_the_settings(tmp_path):
    init(tmp_path / "p", Options("p"), "1.0")
    stages = yaml.safe_load((tmp_path / "p" / "dvc.yaml").read_text())["stages"]
    settings = tomllib.loads((tmp_path / "p" / "linnet.toml").read_text())
    for stage in stages.values():
        for out in [*stage["outs"], *stage.get("metrics", [])]:
            (options,) = out.values()
            assert options["persist"] is True
        for entry in stage["params"]:
            assert {*entry["linnet.toml"]} <= {*settings}
        assert "requirements.txt" in stage["deps"]


def test_twice_is_once(tmp_path, data, capsys):
    command = ["init", str(tmp_path / "p"), "--data", str(data)]
    assert main(command) == 0
    before = contents(tmp_path / "p")
    assert main(command) == 0
    assert contents(tmp_path / "p") == before
    assert f"0 files written; {len(before)} were there already" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["README.md", ".github/workflows/train.yml", "else/deep.txt"])
def test_nothing_is_overwritten_and_nothing_is_written_next_to_it(tmp_path, path, capsys):
    own = tmp_path / "p" / path
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert main(["init", str(tmp_path / "p")]) == 2
    assert contents(tmp_path / "p") == {path: b"mine"}
    assert path in capsys.readouterr().err


def test_a_link_is_never_followed(tmp_path, capsys):
    (tmp_path / "p").mkdir()
    target = tmp_path / "elsewhere"
    target.mkdir()
    (tmp_path / "p" / "tests").symlink_to(target)
    assert main(["init", str(tmp_path / "p")]) == 2
    assert not contents(target)
    (tmp_path / "q").symlink_to(target)
    assert main(["init", str(tmp_path / "q")]) == 2
    assert not contents(target)


def test_a_repository_that_holds_nothing_is_empty(tmp_path):
    (tmp_path / "p" / ".git").mkdir(parents=True)
    (tmp_path / "p" / ".git" / "HEAD").write_text("ref: refs/heads/main")
    assert main(["init", str(tmp_path / "p")]) == 0


@pytest.mark.parametrize(
    "name", ["a b", "-x", ".x", "a\nb", 'a"b', "${{x}}", "ä", "a" * 65, "a\x00b", "a\u202eb", ""]
)
def test_a_hostile_name_is_refused(name):
    with pytest.raises(UsageError) as caught:
        Options.parse(name)
    assert "\n" not in str(caught.value) and "\u202e" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--remote", "gs://bucket"),
        ("--remote", "s3:///no-bucket"),
        ("--remote", "s3://user:secret@bucket/x"),
        ("--remote", "/a\nurl = /b"),
        ("--remote", ""),
        ("--remote", "/a # b"),
        ("--tracking", "mlruns"),
        ("--tracking", "https://user:secret@host"),
        ("--tracking", 'sqlite:///a"\nb = 1'),
        ("--tracking", "http://[::1"),
    ],
)
def test_a_place_that_can_not_be_used_is_refused(tmp_path, flag, value, capsys):
    assert main(["init", str(tmp_path / "p"), flag, value]) == 2
    assert "secret" not in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


@given(st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=50))
def test_any_name_of_a_file_of_data_is_made_safe(name):
    source = Options.parse("p", Path(name)).source
    assert source.startswith("data/")
    rest = source.removeprefix("data/")
    assert (rest.isascii() and rest[0].isalnum()) or rest[0] == "_"
    assert yaml.safe_load(f"- {source}") == [source]
    assert tomllib.loads(f'source = "{source}"') == {"source": source}


def test_data_that_are_no_file_are_refused_before_anything_is_written(tmp_path, capsys):
    for data in (tmp_path, tmp_path / "missing.csv"):
        assert main(["init", str(tmp_path / "p"), "--data", str(data)]) == 2
    assert not (tmp_path / "p").exists()


def test_check_tells_who_has_changed_a_file(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "p"
    init(folder, Options("p"), "1.0")
    assert drift(folder, "1.0") == ()
    states = {item.path: item for item in drift(folder, "2.0")}
    assert {*states} == {"requirements.txt", "Dockerfile"}
    assert all(item.state == "template is newer" for item in states.values())
    (folder / "linnet.toml").write_text("mine")
    (folder / "Dockerfile").write_text("mine")
    (folder / "dvc.yaml").unlink()
    states = {item.path: item for item in drift(folder, "2.0")}
    assert states["linnet.toml"].is_yours and states["linnet.toml"].state == "changed here"
    assert states["Dockerfile"].state == "changed here and in the template"
    assert states["dvc.yaml"].state == "missing" and not states["dvc.yaml"].is_yours


def test_check_exits_with_10_if_a_file_differs(tmp_path, monkeypatch, capsys):
    assert main(["init", str(tmp_path / "p")]) == 0
    monkeypatch.chdir(tmp_path / "p")
    assert main(["init", "--check"]) == 0
    Path("linnet.toml").write_text("# mine\n")
    assert main(["init", "--check"]) == 0
    Path("Dockerfile").write_text("FROM scratch\n")
    assert main(["init", "--check"]) == 10
    assert "Dockerfile: changed here" in capsys.readouterr().out


@pytest.mark.parametrize(
    "record", [None, b"", b"{}", b"[]", b"\xff", b'{"options": {"x": 1}}', b"null"]
)
def test_check_of_what_is_no_project(tmp_path, record, capsys):
    if record is not None:
        (tmp_path / RECORD).write_bytes(record)
    assert main(["init", "--check", str(tmp_path)]) == 2
    assert RECORD in capsys.readouterr().err


def test_it_needs_neither_mlflow_nor_dvc_nor_git_nor_jinja(tmp_path):
    blocked = ["mlflow", "dvc", "jinja2", "torch", "numpy", "git", "pydantic"]
    code = (
        f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
        "from pathlib import Path\nfrom linnet.project import Options, init\n"
        "init(Path(sys.argv[1]), Options('p'), '1.0')\n"
    )
    environment = {**os.environ, "PATH": "/nowhere"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "p")], check=True, env=environment)
    assert json.loads((tmp_path / "p" / RECORD).read_text())["version"] == "1.0"
