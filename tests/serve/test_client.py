"""`linnet.Client` before the real service: what it gives is what the classifier in this process answers."""

import asyncio
import dataclasses

import pytest

import linnet
from linnet.config import load_config
from linnet.errors import ServiceError
from linnet.monitor import Store
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import Keys, add_key

TEXTS = [
    "i love this film",
    "  ",
    "so bad &amp; not good",
    "rain " * 100,
    "\ud800",
    *(f"good day {n}" for n in range(30)),
]


@pytest.fixture(params=["sync", "async"])
def ask(request, address):
    """Asks through either client for texts, each with an answer or an error."""

    async def ask_async(texts):
        async with linnet.AsyncClient(address, max_texts=8) as client:
            return [result async for result in client.predict_iter(texts)]

    def ask_sync(texts):
        with linnet.Client(address, max_texts=8) as client:
            return list(client.predict_iter(texts))

    return ask_sync if request.param == "sync" else lambda texts: asyncio.run(ask_async(texts))


def test_every_text_has_its_own_answer_or_error(ask, classifier):
    results = ask(TEXTS)
    assert len(results) == len(TEXTS)
    errors = {
        index: result.code
        for index, result in enumerate(results)
        if not hasattr(result, "probability")
    }
    assert errors == {1: "bad_text", 4: "bad_text"}
    identities = set()
    good = [index for index in range(len(TEXTS)) if index not in errors]
    for index, expected in zip(
        good, classifier.predict([TEXTS[index] for index in good]), strict=True
    ):
        given = dataclasses.asdict(results[index])
        identities.add(given.pop("id"))
        assert (given.pop("arm"), given.pop("digest")) == ("champion", classifier.digest)
        wanted = {name: getattr(expected, name) for name in given}
        assert given.pop("probability") == pytest.approx(wanted.pop("probability"), abs=1e-5)
        assert given.pop("probabilities") == pytest.approx(wanted.pop("probabilities"), abs=1e-5)
        assert given == wanted
    assert len(identities) == len(good)


def test_more_than_the_service_takes_at_once(address):
    with linnet.Client(
        address
    ) as client:  # which thinks that 256 texts and a million bytes are taken
        assert len(client.predict(["good"] * 30)) == 30
        assert len(client.predict(["good " * 1500] * 4)) == 4


def test_explain_models_ready(address, classifier):
    with linnet.Client(address) as client:
        explained, expected = client.explain("so very good"), classifier.explain("so very good")
        assert (explained.text, explained.label) == (expected.text, expected.label)
        assert [word.text for word in explained.words] == [word.text for word in expected.words]
        (arm,) = client.models()
        assert (arm.arm, arm.role, arm.labels, arm.digest) == (
            "champion",
            "champion",
            classifier.labels,
            classifier.digest,
        )
        assert client.ready()
        with pytest.raises(ServiceError, match="arm") as caught:
            client.explain("good", arm="nobody")
        assert caught.value.request_id


def test_feedback_is_stored_and_keys_are_asked_for(bundle, listening, tmp_path):
    _, key = add_key(tmp_path / "keys.json", "someone", ["predict", "feedback"])
    _, operator = add_key(tmp_path / "keys.json", "operator", ["feedback", "admin"])
    overrides = {"predict.num_threads": 1, "prediction_log.url": str(tmp_path / "predictions.db")}
    service = Service(load_config(overrides=overrides), str(bundle))
    with listening(create_app(service, Keys(tmp_path / "keys.json"))) as address:
        with linnet.Client(address, key) as client:
            (answer,) = client.predict(["so very good"])
            client.feedback(answer.id, "negative")
            client.feedback(answer.id, ["negative"], annotator="Ann")
            for refused in (["negative", "positive"], []):
                with pytest.raises(ServiceError, match="one label") as caught:
                    client.feedback(answer.id, refused)
                assert (caught.value.code, caught.value.status) == ("bad_label", 422)
            with pytest.raises(ServiceError, match="scope admin") as caught:
                client.feedback(answer.id, "positive", source="audit")
            assert (caught.value.code, caught.value.status) == ("not_allowed", 403)
            with pytest.raises(ServiceError) as caught:
                client.feedback("0" * 32 + "-0", "negative")
            assert (caught.value.code, caught.value.status) == ("unknown_prediction", 404)
        with linnet.Client(address, operator) as client:
            client.feedback(answer.id, "positive", source="audit")
        with Store(str(tmp_path / "predictions.db")) as store:
            said = [(one.source, one.labels, one.annotator) for _, one in store.truths()]
        assert said[1:] == [("user", ("negative",), "Ann"), ("audit", ("positive",), said[2][2])]
        assert said[0][2] != said[2][2]
        for wrong, code in ((None, "no_key"), ("lk_wrong", "bad_key")):
            with linnet.Client(address, wrong) as client, pytest.raises(ServiceError) as caught:
                client.predict(["good"])
            assert (caught.value.code, caught.value.status) == (code, 401)
            assert key not in str(caught.value)
