"""Shares change in memory, at once, and nothing is read for it."""

import shutil

import anyio
import pytest
from starlette.testclient import TestClient

from linnet.config import ArmConfig
from linnet.errors import ConfigError
from linnet.serve import Service, create_app


@pytest.fixture
def folder(bundle, reseal, tmp_path):
    reseal(tmp_path / "new", name="new")
    reseal(tmp_path / "aside", name="aside")
    return tmp_path


@pytest.fixture
def service(bundle, config, folder):
    arms = {
        "new": ArmConfig(bundle=str(folder / "new"), share=0.05),
        "aside": ArmConfig(bundle=str(folder / "aside"), share=0.5, shadow=True),
    }
    serve = config.serve.model_copy(update={"arms": arms})
    return Service(config.model_copy(update={"serve": serve}), str(bundle))


def shares(arms):
    return {arm.name: round(arm.share, 9) for arm in arms}


def test_shares_change_without_a_file_and_stay_over_a_swap(service, folder):
    async def run():
        async with service.running():
            pools = service.pools
            shutil.rmtree(folder / "new")
            service.set_shares({"new": 0.3, "aside": 1.0})
            assert shares(service.arms) == {"champion": 0.7, "new": 0.3, "aside": 1.0}
            assert service.pools == pools
            shutil.copytree(folder / "aside", folder / "new")
            await service.swap()
            assert shares(service.arms) == {"champion": 0.7, "new": 0.3, "aside": 1.0}

    anyio.run(run)


def test_units_of_a_challenger_stay_with_it_while_its_share_grows(service):
    async def run():
        async with service.running():
            before = [service.arms.choose(str(unit)).name for unit in range(500)]
            service.set_shares({"new": 0.6})
            after = [service.arms.choose(str(unit)).name for unit in range(500)]
            pairs = set(zip(before, after, strict=True))
            assert ("new", "champion") not in pairs
            assert ("champion", "new") in pairs

    anyio.run(run)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"champion": 0.5}, "The champion answers what the others leave"),
        ({"missing": 0.5}, "here new, aside; got 'missing'"),
        ({"new": 1.5}, "from 0 to 1 for new"),
        ({"new": float("nan")}, "from 0 to 1 for new"),
    ],
)
def test_shares_that_nobody_can_have_are_refused(service, asked, message):
    async def run():
        async with service.running():
            before = shares(service.arms)
            with pytest.raises(ConfigError, match=message):
                service.set_shares(asked)
            assert shares(service.arms) == before

    anyio.run(run)


def test_the_route_says_the_shares_and_the_metric_follows(service):
    with TestClient(create_app(service)) as client:
        answer = client.post("/admin/shares", json={"shares": {"new": 0.2}})
        assert answer.status_code == 200
        assert {arm["arm"]: arm["share"] for arm in answer.json()["arms"]} == {
            "champion": 0.8,
            "new": 0.2,
            "aside": 0.5,
        }
        assert 'linnet_arm_share{arm="new"} 0.2' in client.get("/metrics").text
        for body in ({"shares": {}}, {"shares": {"new": 2}}, {"shares": {"new": None}}, {}):
            assert client.post("/admin/shares", json=body).status_code == 422
        answer = client.post("/admin/shares", json={"shares": {"old": 0.2}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_config")
