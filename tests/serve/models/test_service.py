"""Requests that come at once, that wait, that leave: each gets its own answer, or none is computed."""

import functools
import shutil
import threading

import anyio
import httpx2
import pytest

from linnet.config import ArmConfig
from linnet.serve.app import create_app
from linnet.serve.errors import APIError
from linnet.serve.models import intake
from linnet.serve.models.service import Service
from linnet.serve.models.workers import QueueFull

from .holding import held


def client_of(app) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service")


async def until(holds):
    with anyio.fail_after(60):
        while not holds():
            await anyio.sleep(0.005)


def test_each_of_many_requests_gets_its_own_answer(app, classifier):
    texts = [
        ["good day"],
        [""],
        ["bad day", "so good"],
        ["a\0"],
        ["sun " * 40],
        ["rain", "love", "hate"],
    ] * 20
    answers = [None] * len(texts)

    async def run():
        async def ask(client, number):
            answers[number] = await client.post("/v1/predict", json={"texts": texts[number]})

        async with (
            app.router.lifespan_context(app),
            client_of(app) as client,
            anyio.create_task_group() as tasks,
        ):
            for number in range(len(texts)):
                tasks.start_soon(ask, client, number)

    anyio.run(run)
    for asked, answer in zip(texts, answers, strict=True):
        if asked in ([""], ["a\0"]):
            assert answer.status_code == 422
            continue
        for item, expected in zip(
            answer.json()["predictions"], classifier.predict(asked), strict=True
        ):
            assert item["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_other_routes_answer_while_a_worker_is_stopped_and_what_waits_is_given_up_in_time(app):
    async def run():
        async with app.router.lifespan_context(app), client_of(app) as client:
            (arm,) = app.state.service.arms
            with held([arm.pool]):
                headers = {"X-Request-Timeout": "0.2"}
                answer = await client.post("/v1/predict", json={"texts": ["good"]}, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (
                    504,
                    "deadline_exceeded",
                )
                assert (await client.get("/healthz")).status_code == 200
                second = await client.post("/v1/predict", json={"texts": ["bad"]}, headers=headers)
                assert second.status_code == 504
                assert len(arm.pool.queue) == 1
                arm.pool.queue.check()
                # given up, so not computed
                assert (len(arm.pool.queue), arm.pool.queue.tokens) == (0, 0)
            assert (await client.post("/v1/predict", json={"texts": ["good"]})).status_code == 200

    anyio.run(run)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(bundle, config):
    small = config.model_copy(
        update={"serve": config.serve.model_copy(update={"max_queue_tokens": 40})}
    )

    async def run():
        service = Service(small, str(bundle))
        await service.start()
        try:
            (arm,) = service.arms
            found = []

            async def ask():
                try:
                    found.extend(await service.predict(["good good good"]))
                except APIError as refusal:
                    found.append(refusal)

            async with anyio.create_task_group() as tasks:
                with held([arm.pool]):
                    for _ in range(30):
                        tasks.start_soon(ask)
                    await until(lambda: len(found) >= 20)
            refused = [one for one in found if isinstance(one, APIError)]
            assert len(found) == 30 and 20 <= len(refused) < 30
            assert {(one.status_code, one.code) for one in refused} == {(429, "overloaded")}
            assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
            assert all(one.answer for one in found if not isinstance(one, APIError))
        finally:
            await service.stop()

    anyio.run(run)


def test_a_full_service_refuses_before_it_reads_the_body(bundle, config):
    small = config.model_copy(
        update={"serve": config.serve.model_copy(update={"max_queue_tokens": 10})}
    )
    service = Service(small, str(bundle))
    app = create_app(service)

    async def receive():
        raise AssertionError("the body was read")

    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        async with (
            app.router.lifespan_context(app),
            client_of(app) as client,
            anyio.create_task_group() as tasks,
        ):
            pool = service.arms.champion.pool
            ask = functools.partial(client.post, "/v1/predict", json={"texts": ["good good good"]})
            with held([pool]):
                for waiting in (0, 1, 2):  # one with the worker, and two that fill the queue
                    tasks.start_soon(ask)
                    await until(
                        lambda waiting=waiting: (
                            (pool.queue.computing, len(pool.queue)) == (1, waiting)
                        )
                    )
                for path in ("/v1/predict", "/v1/explain", "/invocations"):
                    sent.clear()
                    scope = {
                        "type": "http",
                        "method": "POST",
                        "path": path,
                        "raw_path": path.encode(),
                        "headers": [],
                        "client": ("127.0.0.1", 1),
                    }
                    await app(scope, receive, send)
                    assert sent[0]["status"] == 429
                    assert int(dict(sent[0]["headers"])[b"retry-after"]) >= 1
                assert (await client.get("/healthz")).status_code == 200

    anyio.run(run)


def test_there_is_room_while_one_model_that_answers_has_some(bundle, config, reseal, tmp_path):
    other = reseal(tmp_path / "other", name="other")
    arms = {
        "other": ArmConfig(bundle=str(other), share=0.5),
        "aside": ArmConfig(bundle=str(other), share=1.0, shadow=True),
    }
    service = Service(
        config.model_copy(update={"serve": config.serve.model_copy(update={"arms": arms})}),
        str(bundle),
    )

    async def run():
        with pytest.raises(APIError, match="not started"):
            service.check_room()
        async with service.running():

            def full(name):
                def check(share):
                    raise QueueFull(3.0)

                service.arms.named(name).pool.check = check

            full("champion")
            service.check_room()
            full("other")
            with pytest.raises(APIError) as caught:  # though the shadow has room
                service.check_room()
            assert (caught.value.status_code, caught.value.headers) == (429, {"Retry-After": "4"})

    anyio.run(run)


def test_weights_that_are_written_to_while_they_are_served_are_told(bundle, config, tmp_path):
    here, weights = tmp_path / "here", tmp_path / "here" / "model.onnx.data"
    shutil.copytree(bundle, here)
    service = Service(config, str(here))

    async def run():
        async with service.running():
            first = service.arms.champion.pool
            shutil.copytree(here, tmp_path / "new")
            here.rename(tmp_path / "old")
            (tmp_path / "new").rename(here)
            service.check_ready()  # another folder in its place changes nothing of what is mapped
            await service.swap()
            assert service.arms.champion.pool is first
        async with service.running():
            first = service.arms.champion.pool
            weights.write_bytes(weights.read_bytes())
            with pytest.raises(
                APIError, match=r"The weights of .*here were written to while they are served"
            ) as caught:
                service.check_ready(details=True)
            assert (caught.value.status_code, caught.value.code) == (503, "not_ready")
            await service.swap()
            assert service.arms.champion.pool is not first
            service.check_ready()

    anyio.run(run)


def test_a_client_that_left_is_not_computed(app):
    async def run():
        async with app.router.lifespan_context(app), client_of(app) as client:
            pool = app.state.service.arms.champion.pool
            messages = [{"type": "http.request", "body": b'{"texts": ["good", "bad"]}'}]
            left = anyio.Event()

            async def receive():
                if messages:
                    return messages.pop()
                await left.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                pass

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/predict",
                "raw_path": b"/v1/predict",
                "query_string": b"",
                "headers": [(b"content-type", b"application/json")],
            }
            ask = functools.partial(client.post, "/v1/predict", json={"texts": ["good"]})
            async with anyio.create_task_group() as tasks:
                with held([pool]):
                    tasks.start_soon(ask)  # the worker has this one, so the next have to wait
                    await until(lambda: pool.queue.computing == 1)
                    async with anyio.create_task_group() as leaving:
                        leaving.start_soon(app, scope, receive, send)
                        await until(lambda: len(pool.queue) == 2)
                        left.set()
                    pool.queue.check()
                    assert len(pool.queue) == 0

    anyio.run(run)


def test_a_request_that_is_being_read_while_its_model_is_swapped_is_answered_by_it(
    bundle, config, reseal, tmp_path, monkeypatch
):
    other = reseal(tmp_path / "other", name="other")
    reading, read_on, read = threading.Event(), threading.Event(), intake.read_texts

    def slowly(work):
        reading.set()
        read_on.wait(60)
        return read(work)

    monkeypatch.setattr(intake, "read_texts", slowly)

    async def run():
        service = Service(config, str(bundle))
        await service.start()
        try:
            former = service.arms.champion.pool
            digest = former.bundle.digest
            found = []

            async def ask():
                found.extend(await service.predict(["good day"]))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await until(reading.is_set)
                arms = await service.swap({"champion": ArmConfig(bundle=str(other))})
                assert arms.champion.pool.bundle.digest != digest
                await anyio.sleep(0.1)  # ten looks at whether the former workers can end
                assert former.pids
                read_on.set()
            assert found[0].answer and found[0].arm.pool.bundle.digest == digest
        finally:
            await service.stop()

    anyio.run(run)
