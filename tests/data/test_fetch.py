"""A file from the web arrives whole, whatever the server does, or a sentence says why not."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from linnet.data.sources.fetch import Remote, RetryPolicy, fetch
from linnet.errors import DataError, StorageError, UsageError

CONTENT = bytes(range(256)) * 2000
HASTY = RetryPolicy(timeout=0.3, slowest=1000, attempts=3, pause=0.01)


@pytest.fixture
def remote(site: Any) -> Remote:
    site.files["/rows.csv"] = CONTENT
    return Remote(f"{site.url}/rows.csv", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "rows.csv"


def leftovers(target: Path) -> list[str]:
    return sorted(
        path.name for path in target.parent.iterdir() if path != target and path.suffix != ".lock"
    )


def test_arrives_and_is_not_fetched_again(site: Any, remote: Remote, target: Path) -> None:
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []
    fetch(remote, target, HASTY)
    assert site.ranges == [None]


def test_a_cut_connection_is_resumed(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.cut(100_000), site.make.cut(150_000)])
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=100000-", "bytes=250000-"]
    assert site.sent == len(CONTENT)


def test_a_later_run_goes_on_where_one_gave_up(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.cut(300_000), *[site.make.cut(0)] * 2])
    with pytest.raises(DataError, match="failed 3 times in a row") as caught:
        fetch(remote, target, HASTY)
    assert "The 300,000 bytes received are kept" in str(caught.value)
    assert not target.exists()
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges[-1] == "bytes=300000-"
    assert site.sent == len(CONTENT)


def test_cuts_do_not_count_while_bytes_come(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.cut(10_000)] * 20)
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert len(site.ranges) == 21


def test_a_killed_run_is_resumed(site: Any, remote: Remote, target: Path) -> None:
    site.faults.append(
        lambda handler, content: (handler.answer(content, 200_000), site.closing.wait(20))
    )
    code = (
        "import sys; from pathlib import Path; from linnet.data.sources.fetch import Remote, fetch;"
        "fetch(Remote(sys.argv[1], sys.argv[2], int(sys.argv[3])), Path(sys.argv[4]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, remote.url, remote.sha256, str(remote.bytes), str(target)]
    )
    try:
        part = target.with_name(f".{target.name}.part")
        while child.poll() is None and not (part.exists() and part.stat().st_size == 200_000):
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=200000-"]


def test_a_server_that_ignores_ranges_starts_again(site: Any, remote: Remote, target: Path) -> None:
    site.knows_ranges = False
    site.faults.append(site.make.cut(100_000))
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.sent == len(CONTENT) + 100_000


def test_a_server_that_sends_another_range_starts_again(
    site: Any, remote: Remote, target: Path
) -> None:
    def askew(handler: Any, content: bytes) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        handler.send(content)

    site.faults.extend([site.make.cut(100_000), askew])
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize("length", [1000, len(CONTENT), len(CONTENT) + 5])
def test_a_foreign_part_is_thrown_away(
    site: Any, remote: Remote, target: Path, length: int
) -> None:
    target.parent.mkdir()
    target.with_name(f".{target.name}.part").write_bytes(b"x" * length)
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges[-1] is None
    assert leftovers(target) == []


def test_a_damaged_file_is_fetched_again(site: Any, remote: Remote, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"x" + CONTENT[1:])
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT


def test_a_range_beyond_the_end_starts_again(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.cut(100_000), site.make.failing(416)])
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(site: Any, remote: Remote, target: Path, code: int) -> None:
    site.faults.extend([site.make.failing(code)] * 2)
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert len(site.ranges) == 3


def test_a_broken_server_is_given_up(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.failing(500)] * 10)
    with pytest.raises(
        DataError, match=r"failed 3 times in a row\. The last error: HTTP Error 500"
    ):
        fetch(remote, target, HASTY)
    assert len(site.ranges) == 3


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_is_final(site: Any, remote: Remote, target: Path, code: int) -> None:
    site.faults.append(site.make.failing(code))
    with pytest.raises(DataError, match=rf"rows\.csv answered: {code} .*--data FILE"):
        fetch(remote, target, HASTY)
    assert len(site.ranges) == 1


def test_a_wrong_digest_removes_the_file(site: Any, remote: Remote, target: Path) -> None:
    wrong = CONTENT[::-1]
    site.files["/rows.csv"] = wrong
    with pytest.raises(DataError) as caught:
        fetch(remote, target, HASTY)
    assert remote.sha256 in str(caught.value)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert leftovers(target) == []
    assert not target.exists()
    assert site.ranges == [None]


def test_a_file_that_changes_under_way_is_started_over_once(
    site: Any, remote: Remote, target: Path
) -> None:
    site.faults.append(lambda handler, content: handler.answer(b"x" * len(content), 100_000))
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=100000-", None]


def test_what_stands_stays_when_a_new_file_is_wrong(
    site: Any, remote: Remote, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"older")
    site.files["/rows.csv"] = CONTENT[::-1]
    with pytest.raises(DataError):
        fetch(remote, target, HASTY)
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize("length", [10, len(CONTENT) + 1])
def test_another_announced_length_is_refused_unread(
    site: Any, remote: Remote, target: Path, length: int
) -> None:
    site.files["/rows.csv"] = b"x" * length
    with pytest.raises(DataError, match=rf"expected a file of 512,000 bytes, got {length:,}"):
        fetch(remote, target, HASTY)
    assert leftovers(target) == []


def test_more_than_announced_is_cut_off(site: Any, remote: Remote, target: Path) -> None:
    site.faults.append(site.make.unannounced(CONTENT + b"x" * 50_000_000))
    with pytest.raises(DataError, match="expected a file of 512,000 bytes, got more"):
        fetch(remote, target, HASTY)
    assert leftovers(target) == []


def test_a_length_that_is_not_announced_is_fine(site: Any, remote: Remote, target: Path) -> None:
    site.faults.append(site.make.unannounced(CONTENT))
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT


def test_a_byte_now_and_then_is_too_slow(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.dripping] * 3)
    with pytest.raises(
        DataError, match=r"failed 3 times in a row\. The last error: \d+ bytes came in"
    ):
        fetch(remote, target, HASTY)
    assert site.ranges[1] is not None


def test_silence_is_waited_for_and_asked_again(site: Any, remote: Remote, target: Path) -> None:
    site.faults.append(site.make.silent)
    fetch(remote, target, HASTY)
    assert target.read_bytes() == CONTENT
    assert len(site.ranges) == 2


def test_offline_is_one_sentence(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/rows.csv"
        with pytest.raises(DataError) as caught:
            fetch(Remote(url, "0" * 64, 10), target, HASTY)
    message = str(caught.value)
    assert url in message
    assert str(target.parent) in message
    assert "--data FILE" in message


def test_a_redirect_is_followed(site: Any, remote: Remote, target: Path) -> None:
    site.files["/old.csv"] = b""
    site.faults.append(site.make.leading_to("/rows.csv"))
    fetch(Remote(f"{site.url}/old.csv", remote.sha256, remote.bytes), target, HASTY)
    assert target.read_bytes() == CONTENT


def test_a_redirect_in_a_circle_ends(site: Any, remote: Remote, target: Path) -> None:
    site.faults.extend([site.make.leading_to("/rows.csv?again")] * 50)
    site.files["/rows.csv?again"] = CONTENT
    with pytest.raises(DataError, match="answered: 302"):
        fetch(remote, target, HASTY)
    assert len(site.ranges) < 10


@pytest.mark.parametrize("scheme", ["file", "ftp", "data"])
def test_no_other_scheme_is_followed(
    site: Any, remote: Remote, target: Path, tmp_path: Path, scheme: str
) -> None:
    secret = tmp_path / "rows.csv"
    secret.write_bytes(CONTENT)
    site.faults.append(site.make.leading_to(f"{scheme}://{secret}"))
    with pytest.raises(DataError) as caught:
        fetch(remote, target, HASTY)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    with pytest.raises(DataError):
        fetch(Remote(f"{scheme}://{secret}", remote.sha256, remote.bytes), target, HASTY)
    assert not target.exists()


def test_several_at_once_fetch_it_once(site: Any, remote: Remote, target: Path) -> None:
    site.faults.append(site.make.cut(100_000))
    threads = [threading.Thread(target=fetch, args=(remote, target, HASTY)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert site.sent == len(CONTENT)
    assert leftovers(target) == []


def test_a_folder_that_is_a_file(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(UsageError, match=r"No folder can be made at .*LINNET_CACHE"):
        fetch(remote, tmp_path / "cache" / "sms" / "rows.csv", HASTY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(remote: Remote, target: Path) -> None:
    target.parent.mkdir()
    for mode in (0o500, 0):
        target.parent.chmod(mode)
        with pytest.raises(StorageError):
            fetch(remote, target, HASTY)
    target.parent.chmod(0o700)


def test_a_full_disk_is_a_sentence(site: Any, remote: Remote, target: Path) -> None:
    # /dev/full refuses each write as a full disk does.
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    target.parent.mkdir()
    target.with_name(f".{target.name}.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        fetch(remote, target, HASTY)
    assert not target.exists()
