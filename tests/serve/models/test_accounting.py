"""Each text of each request is accounted to its arm exactly once, whatever became of it."""

import asyncio
import random
from collections import Counter

import anyio
import pytest

from linnet.config import ArmConfig
from linnet.serve.app import create_app
from linnet.serve.errors import CLIENT_LEFT, APIError
from linnet.serve.models.answering import OTHER_TEXT_FAILED
from linnet.serve.models.service import Service

from .holding import held

WORDS = "good bad day film love hate very sun rain".split()


@pytest.fixture(scope="module")
def others(bundle, reseal, tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    return {
        "challenger": ArmConfig(
            bundle=str(reseal(folder / "challenger", name="challenger")), share=0.4
        ),
        "candidate": ArmConfig(
            bundle=str(reseal(folder / "candidate", name="candidate")), share=0.5, shadow=True
        ),
    }


@pytest.fixture
def service(bundle, config, others):
    serve = config.serve.model_copy(update={"arms": others, "max_queue_tokens": 60})
    return Service(config.model_copy(update={"serve": serve}), str(bundle))


def text_of(service, arm, start=""):
    """A text that falls to an arm."""
    return next(
        text
        for number in range(1000)
        if service.arms.choose(text := f"{start}good {number}").name == arm
    )


def test_counts_add_up_under_load_with_clients_that_leave_and_deadlines_that_pass(service):
    app = create_app(service)
    draw = random.Random(5)
    sent = []
    results = []
    seen = Counter()
    record = service.on_item

    def on_item(item):
        seen[item.request.id, item.index, item.shadow] += 1
        record(item)

    service.on_item = on_item

    async def ask(number):
        texts = [f"{draw.choice(WORDS)} {number} {i}" for i in range(draw.randint(1, 5))]
        if draw.random() < 0.2:
            texts[0] = ""
        sent.append(len(texts))
        timeout = draw.choice([None, 0.001, 0.02, 0.1])
        task = asyncio.create_task(
            service.predict(texts, key=draw.choice([None, str(number)]), timeout=timeout)
        )
        if draw.random() < 0.3:
            await asyncio.sleep(draw.random() * 0.05)
            task.cancel(CLIENT_LEFT[1])
        try:
            results.append(await task)
        except (APIError, asyncio.CancelledError) as error:
            results.append(error)

    async def run():
        async with app.router.lifespan_context(app):
            pools = service.pools
            for start in range(0, 240, 30):
                with held([pools[start // 30 % 2]]):
                    asks = [asyncio.create_task(ask(start + i)) for i in range(30)]
                    await asyncio.sleep(0.1)
                await asyncio.gather(*asks)
        text = app.state.watch.metrics.render("")[0].decode()
        return [line for line in text.splitlines() if line.startswith("linnet_texts_total{")]

    lines = anyio.run(run)
    assert set(seen.values()) == {1}
    counted = Counter()
    for line in lines:
        labels, value = line.rsplit(" ", 1)
        arm, outcome = labels.split('"')[1::2]
        counted["shadow" if arm == "candidate" else outcome] += float(value)
    shadows = counted.pop("shadow")
    assert shadows == sum(shadow for _, _, shadow in seen)
    assert counted.total() == sum(sent)
    answered = sum(
        item.answer is not None for one in results if isinstance(one, list) for item in one
    )
    assert counted["answered"] == answered > 0
    for code in ("bad_text", "overloaded", "deadline_exceeded", "client_left"):
        assert counted[code] > 0, counted


def test_a_failed_request_blames_the_arm_that_made_it_fail(service):
    items = []
    service.on_item = items.append

    def outcomes():
        found = {(item.arm.name, item.code) for item in items if not item.shadow}
        items.clear()
        return found

    async def fail(texts, code, **more):
        with pytest.raises(APIError) as caught:
            await service.predict(texts, **more)
        assert caught.value.code == code
        return outcomes()

    async def run():
        async with service.running():
            mine, theirs = (text_of(service, arm) for arm in ("champion", "challenger"))
            challenger = service.arms.named("challenger").pool
            with held([challenger]):
                assert await fail([mine, theirs], "deadline_exceeded", timeout=0.3) == {
                    ("champion", OTHER_TEXT_FAILED),
                    ("challenger", "deadline_exceeded"),
                }
                waiting = [
                    asyncio.create_task(service.predict([theirs], arm="challenger", timeout=5))
                    for _ in range(40)
                ]
                await asyncio.sleep(0.2)
                assert await fail([theirs, mine], "overloaded") == {
                    ("champion", OTHER_TEXT_FAILED),
                    ("challenger", "overloaded"),
                }
            await asyncio.gather(*waiting, return_exceptions=True)

    anyio.run(run)


def test_an_item_says_its_unit_whether_it_was_named_and_how_long_it_took(service):
    items = []
    service.on_item = items.append

    async def run():
        async with service.running():
            await service.predict(["good day", "bad day"], key="user 7")
            await service.predict(["good day"], arm="challenger")
            await service.predict(["good day", "\0"])

    anyio.run(run)
    mine = [item for item in items if not item.shadow]
    assert [(item.unit, item.request.named, item.index) for item in mine] == [
        ("user 7", False, 0),
        ("user 7", False, 1),
        ("good day", True, 0),
        ("good day", False, 0),
        ("\0", False, 1),
    ]
    assert [item.code for item in mine] == ["answered"] * 4 + ["bad_text"]
    assert all(0 < item.seconds < 60 and item.tokens > 2 for item in mine[:4])
    assert (mine[4].seconds, mine[4].tokens) == (0, 0)
    by_id = {item.id: item.code for item in mine}
    shadows = [item for item in items if item.shadow]
    assert shadows
    assert all(item.arm.name == "candidate" and item.code == by_id[item.id] for item in shadows)
