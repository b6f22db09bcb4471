"""A symbolic link as a target is followed, then written whole or not at all; one that leads nowhere is refused."""

import os
from pathlib import Path

import pytest

from linnet.cli.main import main
from linnet.errors import StorageError, UsageError
from linnet.files import install, whole_directory, write_text
from linnet.links import followed
from linnet.resume import unfinished_path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write_folder(target: Path) -> None:
    with whole_directory(target) as folder:
        (folder / "new").write_text("new")


def write_file(target: Path) -> None:
    write_text(target, "new")


def install_file(target: Path) -> None:
    made = target.parent / "made"
    made.write_text("new")
    install(made, target)


@pytest.fixture
def disks(tmp_path):
    """Two folders: one for links, one that they point to."""
    for name in ("links", "disk"):
        (tmp_path / name).mkdir()
    return tmp_path / "links", tmp_path / "disk"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(disks, there, relative):
    links, disk = disks
    if there:
        (disk / "real").mkdir()
        (disk / "real" / "old").write_text("old")
    (links / "link").symlink_to("../disk/real" if relative else disk / "real")
    write_folder(links / "link")
    assert (links / "link").is_symlink()
    assert names(disk / "real") == ["new"]
    assert (names(links), names(disk)) == (["link"], ["real"])


@pytest.mark.parametrize("write", [write_file, install_file])
@pytest.mark.parametrize("there", [True, False])
def test_a_file_behind_a_chain_of_links_is_replaced(disks, write, there):
    links, disk = disks
    if there:
        (disk / "real").write_text("old")
    (links / "second").symlink_to(disk / "real")
    (links / "first").symlink_to("second")
    write(links / "first")
    assert (disk / "real").read_text() == "new"
    assert (names(links), names(disk)) == (["first", "second"], ["real"])
    assert (links / "first").is_symlink() and (links / "second").is_symlink()


@pytest.mark.parametrize("write", [write_folder, write_file, install_file])
def test_a_link_in_the_middle_of_a_path_is_followed(disks, write):
    links, disk = disks
    (links / "middle").symlink_to(disk)
    (disk / "made").mkdir()
    write(links / "middle" / "made" / "target")
    assert names(disk / "made") == ["target"]


@pytest.mark.parametrize("write", [write_folder, write_file, install_file])
def test_links_that_lead_nowhere_are_refused(disks, write):
    links, disk = disks
    (links / "a").symlink_to("b")
    (links / "b").symlink_to("a")
    (links / "unmounted").symlink_to(disk / "absent" / "splits")
    with pytest.raises(UsageError, match="link that leads back to itself"):
        write(links / "a")
    with pytest.raises(UsageError, match=r"absent does not exist\. Create or mount it"):
        write(links / "unmounted")
    assert names(disk) == []
    (links / "made").unlink(missing_ok=True)  # the file to install is kept
    assert names(links) == ["a", "b", "unmounted"]


@pytest.mark.parametrize("write", [write_folder, write_file])
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="/dev/shm is Linux's own")
def test_a_link_to_another_file_system_is_written_there(tmp_path, write):
    _across(tmp_path, write)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="/dev/shm is Linux's own")
def test_a_file_is_installed_behind_a_link_to_another_file_system(tmp_path):
    _across(tmp_path, install_file)


def _across(tmp_path: Path, write) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        real = Path(other, "real")
        (tmp_path / "link").symlink_to(real)
        for _ in range(2):
            write(tmp_path / "link")
        assert real.exists() and names(Path(other)) == ["real"]
        assert names(tmp_path) == ["link"]


def test_an_error_leaves_what_a_link_points_to(disks):
    links, disk = disks
    (disk / "real").mkdir()
    (disk / "real" / "old").touch()
    (links / "link").symlink_to(disk / "real")
    with pytest.raises(ValueError), whole_directory(links / "link") as folder:
        (folder / "new").touch()
        raise ValueError
    assert names(disk / "real") == ["old"]
    assert (names(links), names(disk)) == (["link"], ["real"])


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder that refuses root too")
@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_link_into_a_folder_that_refuses_writes_is_a_storage_error(tmp_path, write):
    (tmp_path / "link").symlink_to("/sys/kernel/target")
    with pytest.raises(StorageError, match=r"Could not write .*link"):
        write(tmp_path / "link")
    assert names(tmp_path) == ["link"]


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="a mount point that is always there")
@pytest.mark.parametrize("linked", [True, False])
def test_a_mount_point_is_refused_before_the_work(tmp_path, linked):
    target = Path("/dev/shm")
    if linked:
        target = tmp_path / "link"
        target.symlink_to("/dev/shm")
    with pytest.raises(UsageError, match=r"is a mount point, .* Choose a folder in it, such as"):
        write_folder(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a link to somebody else")
def test_a_link_that_somebody_planted_in_a_shared_folder_is_refused(disks):
    links, disk = disks
    (disk / "precious").write_text("mine")
    (links / "link").symlink_to(disk / "precious")
    os.lchown(links / "link", 12345, 12345)
    assert followed(links / "link") == (disk / "precious").resolve()
    links.chmod(0o1777)
    with pytest.raises(UsageError, match="link of another user in a folder that others may write"):
        write_file(links / "link")
    assert (disk / "precious").read_text() == "mine"


def test_work_under_way_is_next_to_what_a_link_points_to(disks):
    links, disk = disks
    (links / "link").symlink_to(disk / "checkpoint")
    assert unfinished_path(links / "link") == (disk / "checkpoint.unfinished").resolve()
    assert unfinished_path(links / "plain") == links / "plain.unfinished"


def test_prepare_follows_a_link_to_its_folder(tmp_path, labelled_csv, capsys):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):  # the second replaces the first's splits
        assert main(["prepare", "--data", str(labelled_csv), "--out", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert "data_card.json" in names(tmp_path / "real")
    capsys.readouterr()
