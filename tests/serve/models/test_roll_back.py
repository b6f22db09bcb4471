"""A challenger that harms loses its share at once, and keeps none until a person lifts that."""

import json
import logging

import anyio
import pytest
from starlette.testclient import TestClient

from linnet.config import ArmConfig, load_config
from linnet.errors import ConfigError
from linnet.serve import Service, create_app
from linnet.serve.errors import APIError


@pytest.fixture(scope="module")
def silent(reseal, tmp_path_factory):
    """A bundle that abstains from every text."""
    folder = tmp_path_factory.mktemp("silent") / "bundle"
    return reseal(folder, min_precision=0.95, thresholds=(0.999999, None))


@pytest.fixture
def make(bundle, silent, tmp_path):
    def make(**settings):
        overrides = {
            "predict.num_threads": 1,
            "prediction_log.url": "",
            "experiment.state_file": str(tmp_path / "state" / "rolled_back.json"),
            "serve.arms": {"silent": {"bundle": str(silent), "share": 0.3}},
            **{f"experiment.{name}": value for name, value in settings.items()},
        }
        return Service(load_config(overrides=overrides), str(bundle))

    return make


def share_of(service):
    return service.arms.named("silent").share


async def ask(service, count=200):
    """Ask until the challenger has no share; gives how many texts that took."""
    for number in range(count):
        if not share_of(service):
            return number
        await service.predict([f"good {number}"])
    return None


def state_of(tmp_path):
    return json.loads((tmp_path / "state" / "rolled_back.json").read_text())["rolled_back"]


def test_the_share_is_0_before_the_crossing_answer_is_given(make, tmp_path, caplog):
    service = make()
    shares = []
    service.on_item = lambda item: shares.append(
        (item.arm.name, item.request.arms.named("silent").share, share_of(service))
    )

    async def run():
        async with service.running():
            assert await ask(service) < 60
            assert shares[-1] == ("silent", 0.3, 0.0)
            assert all(now == 0.3 for _, _, now in shares[:-1])
            items = await service.predict([f"bad {number}" for number in range(8)])
            assert {item.arm.name for item in items} == {"champion"}
            (item,) = await service.predict(["good"], arm="silent")
            assert item.answer.prediction.abstained

    with caplog.at_level(logging.ERROR, "linnet.serve"):
        anyio.run(run)
    (line,) = [one.getMessage() for one in caplog.records]
    assert "was rolled back from a share of 0.3 to 0: abstained" in line
    assert '{"arm": "silent", "reset": true}' in line and "\n" not in line
    assert [known["arm"] for known in state_of(tmp_path).values()] == ["silent"]


def test_it_stays_over_a_restart_and_a_swap_until_a_person_lifts_it(make, silent, tmp_path):
    async def run():
        first = make()
        async with first.running():
            first.roll_back("silent", "a test")
            assert share_of(first) == 0
        service = make()
        async with service.running():
            assert (share_of(service), service.rolled_back) == (0, {"silent": True})
            arms = {arm.name: arm.settings for arm in service.arms}
            arms["silent"] = ArmConfig(bundle=str(silent), share=0.2)
            swapped = await service.swap(arms)
            assert swapped.named("silent").share == share_of(service) == 0
            with pytest.raises(APIError, match="silent was rolled back") as caught:
                service.set_shares({"silent": 0.1})
            assert (caught.value.status_code, caught.value.code) == (409, "rolled_back")
            service.set_shares({"silent": 0.0})
            service.reset("silent")
            assert (share_of(service), service.rolled_back) == (0, {"silent": False})
            service.set_shares({"silent": 0.1})
            assert share_of(service) == 0.1
        assert state_of(tmp_path) == {}

    anyio.run(run)


def test_without_rollback_it_keeps_its_share_and_the_log_says_so(make, caplog):
    async def run():
        async with (service := make(rollback=False)).running():
            assert await ask(service, 80) is None
            assert service.experiment.guardrails.evidence()["silent", "abstained"] > 2

    with caplog.at_level(logging.WARNING, "linnet.serve"):
        anyio.run(run)
    assert [line for line in caplog.messages if "harms" in line] == caplog.messages
    assert len(caplog.messages) == 1


def test_more_servers_need_more_evidence(make, tmp_path):
    async def run(servers):
        own = str(tmp_path / f"{servers}.json")
        async with (service := make(servers=servers, state_file=own)).running():
            return await ask(service)

    assert anyio.run(run, 1) < anyio.run(run, 1000)


def test_a_file_that_cannot_be_used_or_written_is_a_line_in_the_log(make, tmp_path, caplog):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "rolled_back.json").write_text('{"format": 2}')

    async def run():
        async with (service := make()).running():
            assert share_of(service) == 0.3
            (folder / "rolled_back.json").unlink()
            (folder / "rolled_back.json").mkdir()
            service.roll_back("silent", "a test")
            assert share_of(service) == 0

    with caplog.at_level(logging.ERROR, "linnet.serve"):
        anyio.run(run)
    assert "can't be used: it has another form" in caplog.messages[0]
    assert "could not be written" in caplog.messages[-1]


def test_only_challengers_are_rolled_back(make):
    async def run():
        async with (service := make()).running():
            for name in ("champion", "nobody"):
                with pytest.raises(ConfigError, match="which are here silent; got"):
                    service.roll_back(name, "a test")

    anyio.run(run)


def test_the_routes_and_the_metrics_say_it(make):
    with TestClient(create_app(make())) as client:

        def post(path, **body):
            return client.post(f"/admin/{path}", json=body)

        def arm():
            return client.get("/v1/models").json()["arms"][1]

        assert arm()["rolled_back"] is False
        answer = post("rollback", arm="silent")
        assert answer.status_code == 200
        assert answer.json()["arms"][1] == arm()
        assert (arm()["share"], arm()["rolled_back"]) == (0, True)
        text = client.get("/metrics").text
        assert 'linnet_rolled_back{arm="silent"} 1.0' in text
        assert 'linnet_experiment_evidence{arm="silent",guardrail="all"}' in text
        assert post("shares", shares={"silent": 0.1}).json()["error"]["code"] == "rolled_back"
        assert post("rollback", arm="silent", reset=True).status_code == 200
        assert post("shares", shares={"silent": 0.1}).status_code == 200
        assert post("rollback", arm="nobody").json()["error"]["code"] == "bad_config"
        assert post("rollback").status_code == 422
