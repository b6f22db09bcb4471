"""decision.json is followed as far as its verdict allows; anything else is a line in the log."""

import json
import logging
import time

import anyio
import pytest

from linnet.config import load_config
from linnet.serve import Service
from linnet.serve.models.follow import Follower

RAMP = (0.01, 0.05, 0.2, 1.0)


@pytest.fixture(scope="module")
def folder(reseal, tmp_path_factory):
    folder = tmp_path_factory.mktemp("follow")
    reseal(folder / "new", name="new")
    reseal(folder / "aside", name="aside")
    return folder


@pytest.fixture
def service(bundle, folder, tmp_path):
    overrides = {
        "predict.num_threads": 1,
        "prediction_log.url": "",
        "serve.arms": {
            "new": {"bundle": str(folder / "new"), "share": 0.05},
            "aside": {"bundle": str(folder / "aside"), "share": 1.0, "shadow": True},
        },
        "serve.follow": str(tmp_path / "followed.json"),
    }
    return Service(load_config(overrides=overrides), str(bundle))


def follow(service, path, steps, caplog):
    """Write one file after another, and look at each; gives the share of "new" after each."""

    async def run():
        shares = []
        async with service.running():
            follower = Follower(path, RAMP, service)
            digest = service.arms.named("new").pool.bundle.digest
            for step in steps:
                if isinstance(step, dict):
                    base = {"format": 1, "arm": "new", "digest": digest, "horizon": 1.0}
                    step = json.dumps({**base, **step}).encode()
                path.unlink(missing_ok=True)
                path.write_bytes(step)
                await follower.look()
                await follower.look()  # as it was: nothing is said twice
                shares.append(service.arms.named("new").share)
        return shares

    with caplog.at_level(logging.ERROR, "linnet.serve"):
        return anyio.run(run)


def promote(share, **more):
    return {"verdict": "promote", "next_share": share, **more}


def test_a_promotion_gives_the_next_share_and_a_roll_back_takes_all(service, tmp_path, caplog):
    steps = [
        {"verdict": "keep"},
        promote(0.2, horizon=2.0),
        {"verdict": "roll_back", "horizon": 1.5},
        {"verdict": "retrain", "next_share": 1.0, "horizon": 3.0},
        {"verdict": "invalid", "next_share": 1.0, "horizon": 3.0},
        promote(0.05, horizon=3.0),
        {"verdict": "roll_back", "horizon": 4.0, "reasons": [{"rule": "harm"}]},
        promote(0.2, horizon=5.0),
    ]
    shares = follow(service, tmp_path / "decision.json", steps, caplog)
    assert shares == [0.05, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0]
    older, rolled_back, refused = caplog.messages
    assert "older than the decision" in older
    assert "was rolled back" in rolled_back and "asks for it (harm)" in rolled_back
    assert refused.endswith("changes nothing: new was rolled back, which a person has to lift.")


REFUSED = [
    (promote(1.0), "the next step of experiment.ramp is 0.2"),
    (promote(0.2, arm="nobody"), "no challenger here is called 'nobody'"),
    (promote(0.2, arm="champion"), "no challenger here is called 'champion'"),
    (promote(0.2, arm="aside"), "aside is a shadow"),
    (promote(0.2, digest="0" * 64), "it is about the bundle 000000000000"),
    (promote(0.2, digest=None), "it is older than this service and names no digest"),
    (promote(0.2, horizon=time.time() + 1e6), "it comes from the future"),
    (promote(float("inf")), "is no number of JSON"),
    ({"verdict": "ship it"}, "verdict"),
    ({"format": 2}, "expected format 1, found 2"),
    (b"", "it is no JSON in UTF-8"),
    (b"[" * 100_000, "nested too deeply"),
    (b"\xff\xfe", "it is no JSON in UTF-8"),
]


def test_what_it_must_not_do_is_a_line_in_the_log(service, tmp_path, caplog):
    path = tmp_path / "decision.json"
    steps = [step for step, _ in REFUSED]
    shares = follow(service, path, steps, caplog)
    assert set(shares) == {0.05}
    for line, (_, message) in zip(caplog.messages, REFUSED, strict=True):
        assert line.startswith(f"{path} changes nothing: ")
        assert message in line


def test_a_file_that_others_may_write_changes_nothing(tmp_path, caplog, service):
    path = tmp_path / "decision.json"
    path.write_text("{}")
    path.chmod(0o666)
    with caplog.at_level(logging.ERROR, "linnet.serve"):
        anyio.run(Follower(path, RAMP, service).look)
    assert "who could change the shares of models. Run `chmod go-w" in caplog.messages[0]


def test_the_service_follows_the_file_of_its_settings(service, tmp_path):
    async def run():
        async with service.running():
            content = {
                "format": 1,
                "verdict": "roll_back",
                "arm": "new",
                "horizon": time.time() + 1,
            }
            (tmp_path / "followed.json").write_text(json.dumps(content))
            with anyio.fail_after(30):
                while service.arms.named("new").share:
                    await anyio.sleep(0.02)

    anyio.run(run)
