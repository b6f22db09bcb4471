"""The classifier answers what torch would, text for text, in any company, from any thread."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import BundleError, LinnetError, ProofError, TextError
from linnet.predict import Classifier, softmax
from linnet.predict.codec import each
from linnet.predict.engine import ENGINES
from linnet.predict.plan import Plan


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return linnet.load(bundle)


@pytest.fixture(scope="module")
def texts(splits: Path) -> list[str]:
    return read_split(splits, "validation").texts


def reseal(folder: Path, **changes: object) -> None:
    fields = Bundle.read(folder).manifest.model_dump(
        mode="json", exclude={"format", "files", "digest"}
    )
    write_manifest(folder, **(fields | changes))


def test_answers_equal_torch(classifier: Classifier, checkpoint: Path, texts: list[str]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        output = model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])
    np.testing.assert_allclose(classifier.logits(texts), output.logits.numpy(), atol=1e-4)
    expected = [model.config.id2label[i] for i in output.logits.argmax(dim=1).tolist()]
    assert [answer.label for answer in classifier.predict(texts)] == expected


def test_it_learned_something(classifier: Classifier) -> None:
    good, bad = classifier.predict(["love love good sun", "hate hate bad rain"])
    assert (good.label, bad.label) == ("positive", "negative")
    assert good.probability > 0.8 < bad.probability


def test_prediction_is_consistent(classifier: Classifier, texts: list[str]) -> None:
    probabilities = classifier.predict_proba(texts)
    assert probabilities.shape == (len(texts), 2)
    for answer, row in zip(classifier.predict(texts), probabilities, strict=True):
        assert tuple(answer.probabilities) == classifier.labels
        np.testing.assert_allclose(list(answer.probabilities.values()), row, atol=1e-6)
        assert (
            answer.probability
            == answer.probabilities[answer.label]
            == max(answer.probabilities.values())
        )
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-12)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_order_and_company_do_not_matter(
    classifier: Classifier, texts: list[str], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=40))
    together = classifier.logits([texts[i] for i in chosen])
    assert together.shape == (len(chosen), 2)
    alone = classifier.logits(texts)
    np.testing.assert_allclose(together, alone[chosen], atol=1e-4)


def test_the_settings_are_what_load_takes(bundle: Path) -> None:
    assert linnet.load(bundle, **load_config().predict.model_dump()).plan == Plan()


def test_several_sessions_answer_the_same(
    bundle: Path, texts: list[str], classifier: Classifier
) -> None:
    several = linnet.load(bundle, num_threads=1, num_sessions=3, max_batch_tokens=100)
    with ThreadPoolExecutor(4) as pool:
        for logits in pool.map(several.logits, [texts] * 8):
            np.testing.assert_allclose(logits, classifier.logits(texts), atol=1e-4)
    assert several.logits([]).shape == (0, 2)


@pytest.mark.parametrize("max_batch_tokens", [1, 64, 100_000])
def test_budget_does_not_change_answers(
    bundle: Path, texts: list[str], max_batch_tokens: int
) -> None:
    small = linnet.load(bundle, max_batch_tokens=max_batch_tokens, num_threads=1)
    np.testing.assert_allclose(small.logits(texts), linnet.load(bundle).logits(texts), atol=1e-4)


def test_lists_longer_than_one_part(
    classifier: Classifier, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = classifier.predict(texts)
    monkeypatch.setattr("linnet.predict.classifier.TEXTS_AT_ONCE", 7)
    parts = classifier.predict(texts)
    assert [answer.label for answer in parts] == [answer.label for answer in whole]
    np.testing.assert_allclose(
        [answer.probability for answer in parts],
        [answer.probability for answer in whole],
        atol=1e-5,
    )
    with pytest.raises(TextError, match=r"^Text 23: "):
        classifier.predict([*texts[:23], " ", *texts[23:]])


def test_threads_get_their_own_answers(classifier: Classifier, texts: list[str]) -> None:
    expected = classifier.logits(texts)
    slices = [slice(start, start + 5) for start in range(0, len(texts), 5)] * 6
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda part: classifier.logits(texts[part]), slices))
    for part, answer in zip(slices, answers, strict=True):
        np.testing.assert_allclose(answer, expected[part], atol=1e-4)


def test_nothing(classifier: Classifier) -> None:
    assert classifier.predict([]) == []
    assert classifier.predict_proba([]).shape == (0, 2)
    assert classifier.logits([]).shape == (0, 2)


def test_any_sequence_of_strings(classifier: Classifier) -> None:
    expected = classifier.predict(["a good day", "so bad"])
    assert classifier.predict(("a good day", "so bad")) == expected
    assert classifier.predict(np.array(["a good day", "so bad"])) == expected


@pytest.mark.parametrize("value", ["one text", b"bytes"])
def test_text_instead_of_a_list(classifier: Classifier, value: str) -> None:
    with pytest.raises(TextError, match=r"Expected a list of texts, got \w+. Pass it as \[text\]."):
        classifier.predict(value)


@pytest.mark.parametrize("value", [None, 3, object()])
def test_something_else_instead_of_a_list(classifier: Classifier, value: object) -> None:
    with pytest.raises(TextError, match="Expected a list of texts"):
        classifier.predict(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_text"),
        (" \t\n", "empty_text"),
        ("\u200b", "empty_text"),
        ("a\0b", "nul_byte"),
        ("\ud83d", "lone_surrogate"),
        (None, "not_text"),
        (7, "not_text"),
        (b"bytes", "not_text"),
    ],
)
def test_bad_text_is_named_by_its_index(classifier: Classifier, text: str, reason: str) -> None:
    with pytest.raises(TextError, match=r"^Text 2: ") as caught:
        classifier.predict(["good", "bad", text, "sun"])
    assert caught.value.reason == reason


def test_each_text_has_a_prediction_or_its_error(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linnet.predict.classifier.TEXTS_AT_ONCE", 2)
    outcomes = classifier.predict_each(["good", "", "bad", 7, "sun"])
    errors = {i: one for i, one in enumerate(outcomes) if isinstance(one, TextError)}
    assert {i: (one.reason, one.index) for i, one in errors.items()} == {
        1: ("empty_text", 1),
        3: ("not_text", 3),
    }
    assert str(errors[3]).startswith("Text 3: Expected a text, got int")
    assert [outcomes[i] for i in (0, 2, 4)] == classifier.predict(["good", "bad", "sun"])
    assert classifier.predict_each([]) == []


def test_a_text_at_which_a_function_fails_is_named_by_its_own_place() -> None:
    asked = []

    def upper(texts: list[str]) -> list[str]:
        asked.append(texts)
        if "fails" in texts:
            raise TextError("tokenizer_failed", "It fails.", texts.index("fails"))
        return [text.upper() for text in texts]

    empty = TextError("empty_text", "It is empty.", 0)
    first, one, failed, two = each(upper, [empty, "one", "fails", "two"])
    assert (first, one, two) == (empty, "ONE", "TWO")
    assert str(failed) == "Text 2: It fails."
    assert asked == [["one", "fails", "two"], ["one"], ["fails"], ["two"]]


def test_truncated(classifier: Classifier) -> None:
    short, long = classifier.predict(["good day", "good " * 500])
    assert (short.truncated, long.truncated) == (False, True)
    fits = "good " * 62  # 64 tokens with the two special ones
    assert [answer.truncated for answer in classifier.predict([fits, fits + "day"])] == [
        False,
        True,
    ]


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.text(), max_size=5))
def test_any_string_gives_an_answer_or_our_error(classifier: Classifier, texts: list[str]) -> None:
    try:
        answers = classifier.predict(texts)
    except LinnetError as error:
        assert isinstance(error, TextError)
        return
    assert len(answers) == len(texts)


def test_temperature_is_applied(bundle: Path, tmp_path: Path, texts: list[str]) -> None:
    shutil.copytree(bundle, tmp_path / "hot")
    reseal(tmp_path / "hot", temperature=4.0)
    plain, hot = linnet.load(bundle), linnet.load(tmp_path / "hot")
    np.testing.assert_allclose(hot.logits(texts), plain.logits(texts), atol=1e-6)
    np.testing.assert_allclose(
        hot.predict_proba(texts), softmax(plain.logits(texts) / 4), atol=1e-6
    )
    answer = hot.predict([texts[0]])[0]
    assert answer.probability < plain.predict([texts[0]])[0].probability
    assert hot.digest != plain.digest


def test_it_says_what_it_is(classifier: Classifier, bundle: Path) -> None:
    assert classifier.name == "tiny"
    assert classifier.labels == ("negative", "positive")
    assert classifier.digest == Bundle.read(bundle).digest
    assert classifier.bundle.path == bundle


def test_load_verifies(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("changed")
    with pytest.raises(BundleError, match=r"README\.md was changed"):
        linnet.load(tmp_path / "b")
    assert linnet.load(tmp_path / "b", verify=False).predict(["good"])


def test_load_refuses_a_failed_proof(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b" / "proof.json").write_text('{"checks": {"parity": {"passed": true}}}')
    reseal(tmp_path / "b")
    with pytest.raises(ProofError, match="missing the check accuracy"):
        linnet.load(tmp_path / "b")


def test_labels_that_are_not_the_graphs(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    reseal(tmp_path / "b", labels=["negative", "neutral", "positive"])
    with pytest.raises(BundleError, match="answers 2 classes, but the manifest names 3 labels"):
        linnet.load(tmp_path / "b")


def test_truncated_graph_of_a_resealed_bundle(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    graph = tmp_path / "b" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    reseal(tmp_path / "b")
    with pytest.raises(BundleError, match=r"Expected an ONNX model in .*model\.onnx"):
        linnet.load(tmp_path / "b")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("word", ["another", "good"])
def test_tokenizer_of_another_model(bundle: Path, tmp_path: Path, engine: str, word: str) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    tokenizer = json.loads((bundle / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary[word] = largest = (
        len(vocabulary) + 7
    )  # as many words as before where it is an old one
    (tmp_path / "b" / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "b" / "surprise.npy").unlink()
    reseal(tmp_path / "b")
    with pytest.raises(
        BundleError, match=rf"model\.onnx refuses token ids up to {largest} in rows of 1"
    ):
        linnet.load(tmp_path / "b", engine=engine)


def test_a_tokenizer_without_its_unknown_token(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    tokenizer = json.loads((bundle / "tokenizer.json").read_text())
    tokenizer["model"]["unk_token"] = "[NOWHERE]"
    (tmp_path / "b" / "tokenizer.json").write_text(json.dumps(tokenizer))
    reseal(tmp_path / "b")
    with pytest.raises(
        BundleError, match=r"tokenizer\.json can't encode a character that it doesn't know"
    ):
        linnet.load(tmp_path / "b")


def test_broken_tokenizer(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b" / "tokenizer.json").write_text("{}")
    reseal(tmp_path / "b")
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        linnet.load(tmp_path / "b")


def test_softmax() -> None:
    rows = np.array([[0.0, 0.0], [1000.0, -1000.0], [-1e30, 1e30]], np.float32)
    np.testing.assert_allclose(softmax(rows), [[0.5, 0.5], [1, 0], [0, 1]])
    assert softmax(rows).dtype == np.float64
