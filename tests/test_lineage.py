"""Where a result came from, told truly in a clean, a dirty and no repository."""

import json
import platform
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

from linnet.lineage import lineage


def git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set while a hook runs the tests
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "--initial-branch=topic/one")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "One")
    return tmp_path


def test_a_clean_tree(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert lineage(repository)["git"] == {"commit": commit, "branch": "topic/one", "dirty": False}


def test_a_changed_and_an_untracked_file_make_it_dirty(repository):
    (repository / "file").write_text("2")
    assert lineage(repository)["git"]["dirty"] is True
    git(repository, "checkout", "file")
    (repository / "new").write_text("")
    assert lineage(repository)["git"]["dirty"] is True


@pytest.mark.parametrize("name", ["dvc.lock", "deep/dvc.lock", "report/metrics.json"])
def test_the_files_that_a_pipeline_writes_as_it_runs_do_not(repository, name):
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("1")
    assert lineage((repository / name).parent)["git"]["dirty"] is False
    (repository / "dvc.yaml").write_text("")
    assert lineage((repository / name).parent)["git"]["dirty"] is True


def test_a_folder_inside_the_repository_is_of_it(repository):
    inside = repository / "deep" / "er"
    inside.mkdir(parents=True)
    assert lineage(inside)["git"]["branch"] == "topic/one"


def test_a_detached_head_still_has_its_commit(repository):
    git(repository, "checkout", "--detach")
    state = lineage(repository)["git"]
    assert state["branch"] == "HEAD" and len(state["commit"]) == 40


def test_the_current_folder_is_the_default(repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert lineage()["git"]["branch"] == "topic/one"


def test_no_repository_and_no_commit_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert lineage(tmp_path)["git"] is None
    git(tmp_path, "init")
    assert lineage(tmp_path)["git"] is None


def test_a_host_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lineage(tmp_path)["git"] is None


def test_time_host_and_packages(tmp_path):
    found = lineage(tmp_path)
    assert abs(datetime.fromisoformat(found["created"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert found["python"] == platform.python_version()
    assert found["cpu_count"] >= 1
    assert found["packages"]["numpy"] == version("numpy")
    assert json.loads(json.dumps(found)) == found
