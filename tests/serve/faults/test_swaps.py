"""Models are put in the place of others under load: no request fails, and each answer is that of the model it names."""

import asyncio
import json
import os
import shutil
import signal

import pytest

from linnet.bundle import Bundle, write_manifest

from .load import Load, until

PROOF = "proof.json"


def test_bundles_are_swapped_under_load(server, bundle, other, expected):
    swaps, used = 5, []

    async def swap():
        await until(server.ready)
        for number in range(swaps):
            reply = await server.swap(champion=(other, bundle)[number % 2])
            assert reply.status == 200, reply
            assert reply.json()["arms"][0]["name"] == ("other", "tiny")[number % 2]

            async def drained():
                return len(server.workers) == 1

            await until(drained)
            used.append((server.memory(), server.files))
        await server.swap(champion=bundle)
        await until(drained)

    tally = asyncio.run(Load(server.port, expected).during(swap()))
    assert not tally.failed and not tally.shed
    assert set(tally.digests) == set(expected) and min(tally.digests.values()) > 20
    (first, files), (last, files_after) = used[1], used[-1]
    assert last - first < 30e6 and files_after <= files + 2
    assert server.process.poll() is None


def broken_proof(folder):
    path = folder / PROOF
    path.write_bytes(path.read_bytes().replace(b"true", b"false"))


@pytest.mark.parametrize(
    "spoil",
    [
        broken_proof,
        lambda folder: (folder / PROOF).unlink(),
        lambda folder: (folder / "model.onnx").write_bytes(b"other"),
        shutil.rmtree,
    ],
)
def test_a_bundle_that_does_not_hold_leaves_the_old_one_at_work(
    server, bundle, expected, tmp_path, spoil
):
    shutil.copytree(bundle, tmp_path / "bad")
    spoil(tmp_path / "bad")

    async def swap():
        workers = server.workers
        reply = await server.swap(champion=tmp_path / "bad")
        assert reply.status == 422, reply
        message = reply.json()["error"]["message"]
        assert str(tmp_path / "bad") in message and message.endswith("."), message
        assert server.workers == workers

    tally = asyncio.run(Load(server.port, expected).during(swap()))
    assert not tally.failed and len(tally.digests) == 1


def failed_proof(folder, reseal):
    reseal(folder)
    proof = json.loads((folder / PROOF).read_text())
    proof["checks"]["parity"]["passed"] = False
    (folder / PROOF).write_text(json.dumps(proof))


def broken_graph(folder, reseal):
    reseal(folder)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "code"), [(failed_proof, "failed_proof"), (broken_graph, "bad_bundle")]
)
def test_sealed_but_bad_it_leaves_the_old_one_at_work(
    server, other, expected, tmp_path, reseal, spoil, code
):
    folder = tmp_path / "bad"
    spoil(folder, reseal)
    fields = Bundle.read(folder).manifest.model_dump(exclude={"format", "files", "digest"})
    write_manifest(folder, **fields)

    async def swap():
        workers = server.workers
        # The champion is good, and its workers have begun when the challenger turns out not to be.
        arms = {
            "champion": {"bundle": str(other)},
            "challenger": {"bundle": str(folder), "share": 0.5},
        }
        for reply in (await server.swap(champion=folder), await server.swap(**arms)):
            assert (reply.status, reply.json()["error"]["code"]) == (422, code), reply
        assert server.workers == workers

    tally = asyncio.run(Load(server.port, expected).during(swap()))
    assert not tally.failed and len(tally.digests) == 1


def test_a_bundle_of_other_labels_is_refused(server, bundle, tmp_path, reseal):
    renamed = reseal(tmp_path / "renamed", labels=("good", "bad"))

    async def run():
        for arms in (
            {"champion": renamed},
            {"champion": bundle, "challenger": {"bundle": str(renamed)}},
        ):
            reply = await server.swap(**arms)
            assert reply.status == 422, reply
            assert (
                "Expected one of the labels negative, positive from every model"
                in reply.json()["error"]["message"]
            )

    asyncio.run(run())


@pytest.mark.parametrize(
    "path",
    ["", "a\0b", "\ud800", "x" * 5000, "/dev/null", "/", "../../../etc/passwd", "/proc/self"],
)
def test_a_path_that_is_none_is_refused(server, path):
    async def run():
        reply = await server.swap(champion={"bundle": path})
        assert reply.status == 422, reply
        assert await server.ready()

    asyncio.run(run())


def test_two_swaps_at_once_come_one_after_the_other(server, bundle, other, expected):
    async def swap():
        replies = await asyncio.gather(
            server.swap(champion=other, challenger={"bundle": str(bundle), "share": 0.5}),
            server.swap(champion=other),
        )
        assert [reply.status for reply in replies] == [200, 200]
        arms = (await server.get("/v1/models")).json()["arms"]
        assert [arm["arm"] for arm in arms] in (["champion"], ["champion", "challenger"])
        assert (await server.swap(champion=bundle)).status == 200

        async def drained():
            return len(server.workers) == 1

        await until(drained)

    tally = asyncio.run(Load(server.port, expected).during(swap()))
    assert not tally.failed and len(tally.digests) == 2


def test_a_hangup_reads_the_folder_anew(server, bundle, other, expected, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(bundle, place)

    async def names(name):
        return (await server.get("/v1/models")).json()["arms"][0]["name"] == name

    async def swap():
        assert (await server.swap(champion=place)).status == 200
        shutil.rmtree(place)
        os.kill(server.process.pid, signal.SIGHUP)

        async def said():
            return "SIGHUP: the models at work go on" in server.log

        await until(said)
        shutil.copytree(other, place)
        for _ in range(2):
            os.kill(server.process.pid, signal.SIGHUP)
        await until(lambda: names("other"))
        assert (await server.swap(champion=bundle)).status == 200

    tally = asyncio.run(Load(server.port, expected).during(swap()))
    assert not tally.failed and len(tally.digests) == 2
