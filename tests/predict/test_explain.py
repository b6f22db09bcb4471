"""The words that moved an answer are named: exactly so where the truth is known, within the bound on its cost."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.cli.main import main
from linnet.errors import LabelError, TextError
from linnet.predict import Classifier, Explanation, MultiLabel, SingleLabel
from linnet.predict.explain import ASKED, Group, weigh, words_of
from linnet.text import Span

FILLER = "day film the a is was it this and i my".split()


def write_sum_of_words(path: Path, weights: np.ndarray) -> None:
    """A graph whose logits are the sums of what each token adds to them, float (vocabulary, labels)."""
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["each", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", weights.shape[1]])
    ]
    constants = {
        "weights": weights.astype(np.float32),
        "last": np.array([-1]),
        "middle": np.array([1]),
    }
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "sum_of_words", inputs, outputs, initializers)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path
    )


@pytest.fixture(scope="module")
def vocabulary(bundle: Path) -> dict[str, int]:
    return json.loads((bundle / "tokenizer.json").read_text())["model"]["vocab"]


@pytest.fixture(scope="module")
def planted(
    bundle: Path,
    tone_bundle: Path,
    vocabulary: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
):
    """A model that knows nothing but what some words add to some labels: `plant({"sun": {"positive": 3.0}})`."""

    def plant(words: dict[str, dict[str, float]], multi_label: bool = False) -> Classifier:
        source = tone_bundle if multi_label else bundle
        folder = tmp_path_factory.mktemp("planted") / "bundle"
        shutil.copytree(source, folder)
        manifest = Bundle.read(folder).manifest
        vocabulary = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
        weights = np.zeros((len(vocabulary), len(manifest.labels)))
        for word, effects in words.items():
            for label, weight in effects.items():
                weights[vocabulary[word], manifest.labels.index(label)] = weight
        write_sum_of_words(folder / "model.onnx", weights)
        fields = manifest.model_dump(
            mode="json", exclude={"format", "files", "digest", "temperature"}
        )
        write_manifest(folder, **fields, temperature=2.0)
        return linnet.load(folder, num_threads=1)

    return plant


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return linnet.load(bundle, num_threads=1)


def by_word(explanation: Explanation) -> dict[str, float]:
    return {word.text: word.weight for word in explanation.words}


def test_a_planted_word_is_named_with_its_exact_weight(planted) -> None:
    classifier = planted(
        {"sun": {"positive": 3.0}, "rain": {"positive": -1.0}, "hate": {"negative": 0.5}}
    )
    found = classifier.explain("the day was sun and rain, i hate it")
    assert found.label == "positive"
    assert found.probability == pytest.approx(1 / (1 + np.exp(-(3 - 1 - 0.5) / 2)))
    expected = {"sun": 1.5, "rain,": -0.5, "hate": -0.25}  # the temperature is 2
    assert by_word(found) == pytest.approx(dict.fromkeys(by_word(found), 0.0) | expected, abs=1e-6)
    other = classifier.explain("the day was sun and rain, i hate it", label="negative")
    assert by_word(other) == pytest.approx(
        {word: -weight for word, weight in by_word(found).items()}, abs=1e-6
    )
    assert other.probability == pytest.approx(1 - found.probability)


def test_each_label_of_several_has_its_own_words(planted) -> None:
    classifier = planted(
        {"sun": {"weather": 2.0, "praise": 4.0}, "film": {"film": 3.0}}, multi_label=True
    )
    text = "a film and the sun"
    assert max(by_word(classifier.explain(text)).items(), key=lambda item: item[1]) == (
        "sun",
        pytest.approx(2.0),
    )
    assert by_word(classifier.explain(text, "film"))["film"] == pytest.approx(1.5)
    assert by_word(classifier.explain(text, "film"))["sun"] == pytest.approx(0.0)


@pytest.mark.parametrize("length", [1, 2, 19, 20, 30, 60, 62])
def test_the_planted_word_is_found_in_any_text(planted, length: int) -> None:
    classifier = planted({"sun": {"positive": 3.0}})
    draw = np.random.default_rng(length)
    for place in {0, length // 2, length - 1, *draw.integers(0, length, 5).tolist()}:
        words = draw.choice(FILLER, length).tolist()
        words[place] = "sun"
        found = classifier.explain(" ".join(words))
        heaviest = max(found.words, key=lambda word: word.weight)
        assert (heaviest.text, heaviest.weight) == ("sun", pytest.approx(1.5))
        assert heaviest.start == len(" ".join(words[:place])) + (place > 0)
        assert sum(abs(word.weight) for word in found.words) == pytest.approx(1.5)


class Counting:
    """Stands before an engine, and counts the tokens that it is given, padding included."""

    def __init__(self, engine):
        self.engine, self.rows, self.tokens = engine, 0, 0

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        self.rows += len(input_ids)
        self.tokens += input_ids.size
        return self.engine.run(input_ids, attention_mask)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_it_costs_at_most_twenty_answers(classifier: Classifier, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    text = " ".join(draw.choice([*FILLER, "sun", "hate", "wonderful"], count).tolist())
    engine, classifier.model._runner._engine = (
        classifier.model._runner._engine,
        Counting(classifier.model._runner._engine),
    )
    try:
        classifier.predict([text])
        one, classifier.model._runner._engine.tokens, classifier.model._runner._engine.rows = (
            classifier.model._runner._engine.tokens,
            0,
            0,
        )
        found = classifier.explain(text)
        assert classifier.model._runner._engine.rows <= ASKED == 20
        assert classifier.model._runner._engine.tokens <= 20 * one
    finally:
        classifier.model._runner._engine = engine
    read = found.text[: found.words[-1].end]
    assert " ".join(word.text for word in found.words) == read
    assert found.truncated == (read != found.text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(0, 1000))
def test_groups_cover_every_word_once(count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    effects = draw.standard_cauchy(count)
    asked = []

    def ask(groups: list[Group]) -> np.ndarray:
        asked.extend(groups)
        return np.array([effects[group.first : group.last].sum() for group in groups])

    found = weigh(count, ask)
    assert [number for group in found for number in range(group.first, group.last)] == list(
        range(count)
    )
    assert len(asked) <= ASKED - 1
    assert all(
        group.weight == pytest.approx(effects[group.first : group.last].sum()) for group in found
    )
    if count < ASKED:
        assert all(len(group) == 1 for group in found)


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text(min_size=1, max_size=80))
def test_spans_are_of_the_clean_text(classifier: Classifier, text: str) -> None:
    try:
        found = classifier.explain(text)
    except TextError:
        with pytest.raises(TextError):
            classifier.predict([text])
        return
    end = 0
    for word in found.words:
        assert end <= word.start < word.end <= len(found.text)
        assert word.text == found.text[word.start : word.end]
        assert np.isfinite(word.weight)
        end = word.end
    answer = classifier.predict([text])[0]
    assert (found.label, found.truncated) == (answer.label, answer.truncated)
    assert found.probability == pytest.approx(answer.probability, abs=1e-5)


def test_entities_and_masks_are_read_as_the_model_does(tone_bundle: Path) -> None:
    found = linnet.load(tone_bundle).explain("  good &amp; bad @jane ")
    assert found.text == "good & bad @user"
    assert [word.text for word in found.words] == ["good", "&", "bad", "@user"]


def test_it_names_what_a_trained_model_goes_by(classifier: Classifier) -> None:
    for text, word, label in (
        ("the film i love it", "love", "positive"),
        ("a day of hate", "hate", "negative"),
    ):
        found = classifier.explain(text)
        assert found.label == label
        assert max(found.words, key=lambda item: item.weight).text == word


def test_other_weights_give_another_explanation(
    planted, bundle: Path, vocabulary: dict[str, int]
) -> None:
    """Sanity check by randomised parameters (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3)."""
    draw = np.random.default_rng(0)
    effects = {word: {"positive": draw.normal()} for word in FILLER}
    model = planted(effects)
    random = planted({word: {"positive": draw.normal()} for word in FILLER})
    again = planted(effects)
    alike, diff = [], []
    for _ in range(20):
        text = " ".join(draw.permutation(FILLER)[:8].tolist())
        one, other, same = (
            np.argsort(np.argsort([word.weight for word in m.explain(text, "positive").words]))
            for m in (model, random, again)
        )
        diff.append(np.corrcoef(one, other)[0, 1])
        alike.append(np.corrcoef(one, same)[0, 1])
    assert min(alike) == pytest.approx(1)
    assert abs(np.mean(diff)) < 0.4


def test_words() -> None:
    text = "don't \u4e2d\u6587!"
    places = [
        None,
        Span(0, 3, 0),
        Span(3, 4, 1),
        Span(4, 5, 2),
        Span(5, 7, 3),
        Span(7, 8, 4),
        Span(8, 9, 5),
        None,
    ]
    assert words_of(text, places) == [[1, 2, 3], [4], [5], [6]]
    assert words_of("", [None, None]) == []
    assert words_of("a b", [Span(0, 1, 0), Span(1, 3, 1)]) == [
        [0],
        [1],
    ]  # as byte-level tokenizers have it


def test_log_odds() -> None:
    logits = np.array([[0.0, 0.0, 0.0], [1000.0, -1000.0, 0.0]])
    np.testing.assert_allclose(SingleLabel().log_odds(logits, 0), [-np.log(2), 1000])
    np.testing.assert_allclose(MultiLabel().log_odds(logits, 0), [0, 1000])


def test_what_is_refused(classifier: Classifier) -> None:
    with pytest.raises(
        LabelError, match=r"There is no label 'sad'. The model knows negative, positive"
    ):
        classifier.explain("good", label="sad")
    with pytest.raises(TextError, match="is empty"):
        classifier.explain(" ")
    with pytest.raises(TextError, match="Expected a text, got list"):
        classifier.explain(["good"])  # type: ignore[arg-type]


def test_the_command(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(bundle), "[red]love[/] &amp; " + "good " * 70]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("positive, probability 0.")
    assert "[red]love[/]" in shown
    assert "the end was cut off" in shown
    assert main(["explain", str(bundle), "good", "--label", "negative"]) == 0
    assert capsys.readouterr().out.startswith("negative, probability 0.")
    assert main(["explain", str(bundle), "\u200b"]) == 3
    assert main(["explain", str(bundle), "caf\udce9"]) == 3
