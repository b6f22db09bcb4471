"""A disk that is full, or can only be read: the service answers, and its log goes on afterwards.

The disk is a small file system in memory, which holds the log and the service's temporary files.
"""

import asyncio
import errno
import subprocess
import time

import pytest

from .conftest import serving
from .load import Load, until
from .rows import RATE, Recorder, row, scaled
from .test_log import adds_up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SECONDS = scaled(60)
MEGABYTES = 8


def mount(*options):
    return subprocess.run(["mount", *map(str, options)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path):
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = mount("-t", "tmpfs", "-o", f"size={MEGABYTES}m", "linnet-test", folder)
    if done.returncode:
        pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Write until nothing more fits."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
    return path


async def log_fails(one):
    await until(lambda: fails(one))


async def fails(one):
    return await one.metric("linnet_log_up") == 0


async def works(one):
    return (await adds_up(one))[3] < RATE and await one.metric("linnet_log_up") == 1


def drill(bundle, other, expected, disk, fault, done, note, begin, end):
    """Serve from a disk; a fault begins, lasts, and ends."""
    watch = Recorder()
    settings = {"prediction_log__url": str(disk / "log.db"), "TMPDIR": str(disk)}
    with serving(bundle, **settings) as one:

        async def work():
            async with watch.over(one):
                await asyncio.sleep(SECONDS / 6)
                await begin(one)
                await asyncio.sleep(SECONDS)
                assert await one.ready()
                assert (await one.swap(champion=other)).status == 200
                end()
                await watch.recover(lambda: works(one), time.monotonic())
                await asyncio.sleep(SECONDS / 6)

        tally = asyncio.run(Load(one.port, expected).at(RATE, work()))

        async def written():
            return (await adds_up(one))[3] == 0

        asyncio.run(until(written))
        answered, wrote, lost, _ = asyncio.run(adds_up(one))
        note(row(fault, done, tally, watch, records_lost=lost))
        assert tally.answered == tally.sent == answered == wrote and lost == 0
        assert len(tally.digests) == 2
        assert one.end() == 0


def test_a_full_disk(bundle, other, expected, disk, note):
    async def begin(one):
        fill(disk)
        await log_fails(one)

    done = f"no byte left for {SECONDS:.0f} s for the log and temporary files, and a swap"
    end = (disk / "filling").unlink
    drill(bundle, other, expected, disk, "disk full", done, note, begin, end)


def test_a_disk_that_can_only_be_read(bundle, other, expected, disk, note):
    async def begin(one):
        """Full first: a file system with files open for writing can not be made read-only."""
        fill(disk)
        await log_fails(one)

        async def read_only():
            option = f"remount,ro,size={4 * MEGABYTES}m"
            return mount("-o", option, disk).returncode == 0

        await until(read_only)

    def end():
        assert mount("-o", "remount,rw", disk).returncode == 0

    done = f"read-only for {SECONDS:.0f} s for the log and temporary files, and a swap"
    drill(bundle, other, expected, disk, "disk read-only", done, note, begin, end)
