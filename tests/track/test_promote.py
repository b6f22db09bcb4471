"""The alias moves through the gate alone, and what is fetched is what was registered."""

import json

import pytest

from linnet.errors import BundleError, RefusedError, UsageError
from linnet.files import digest
from linnet.track import promote as stage
from linnet.track.fetch import Wanted, fetch
from linnet.track.finished_run import FinishedRun
from linnet.track.log import track
from linnet.track.promote import promote, roll_back
from linnet.track.registry import Registry
from linnet.track.store import Store


@pytest.fixture
def champion(good_run, config, many_splits):
    """A champion that passed the gate."""
    track(FinishedRun.read(good_run), config.track, "words")
    result = promote(config, "words", many_splits)
    assert result.moved, result.reason
    return result.candidate


def lines(result):
    return {line.name: line.passed for line in result.lines}


def test_the_first_champion_has_to_beat_its_baseline(champion, config, many_splits, make_run):
    assert Registry(Store(config.track), "words").by_alias("best").digest == champion.digest
    useless = make_run(bias=(9.0, 0.0))
    track(FinishedRun.read(useless), config.track, "guesses")
    result = promote(config, "guesses", many_splits)
    assert not result.moved and result.refusal.name == "baseline"


def test_an_equal_candidate_is_promoted_and_rolled_back(champion, equal_run, config, many_splits):
    track(FinishedRun.read(equal_run), config.track, "words")
    tried = promote(config, "words", many_splits, dry_run=True)
    assert not tried.moved and tried.refusal is None
    result = promote(config, "words", many_splits)
    assert result.moved and set(lines(result)) == {
        *("verified", "committed", "same_task", "held_out", "enough_rows", "baseline"),
        *("champion", "best", "labels", "calibration", "latency", "test_rows"),
    }
    registry = Registry(Store(config.track), "words")
    assert registry.by_alias("champion").digest == result.candidate.digest
    assert registry.by_alias("previous").digest == champion.digest
    assert registry.by_alias("best").digest == champion.digest  # not shown better, so it stays
    gate = json.loads(registry.by_alias("champion").tags["linnet.gate"])
    assert gate["passed"] and gate["champion"] == champion.digest
    assert roll_back(config, "words", "slow on phones").digest == champion.digest
    back = registry.by_alias("champion")
    assert back.digest == champion.digest and "slow on phones" in back.tags["linnet.rollback"]
    assert promote(config, "words", many_splits).moved


def test_a_worse_candidate_is_refused_with_the_line_and_the_numbers(
    champion, worse_run, config, many_splits
):
    track(FinishedRun.read(worse_run), config.track, "words")
    result = promote(config, "words", many_splits)
    assert not result.moved and not lines(result)["champion"]
    (sentence,) = [line.sentence for line in result.lines if line.name == "champion"]
    assert "points" in sentence and "allowed" in sentence
    assert Registry(Store(config.track), "words").by_alias("champion").digest == champion.digest
    assert "| champion | failed |" in result.to_markdown()


def test_rows_that_the_champion_may_have_seen_judge_nobody(
    champion, config, make_run, splits, tmp_path
):
    run = make_run(splits=splits, temperature=1.38)
    track(FinishedRun.read(run), config.track, "words")
    result = promote(config, "words", splits)
    assert result.refusal.name == "held_out" and "other splits" in result.reason


def test_splits_that_grew_out_of_the_champions_judge_both(champion, many_splits, tmp_path):
    from linnet.bundle import Bundle
    from linnet.track.held_out import held_out_alike

    grown = tmp_path / "grown"
    grown.mkdir()
    (grown / "test.parquet").write_bytes((many_splits / "test.parquet").read_bytes() + b" ")
    before = digest(many_splits / "data_card.json")
    for since, alike in (
        ({"card_sha256": before, "ancestors": []}, True),
        ({"card_sha256": "f" * 64, "ancestors": ["e" * 64, before]}, True),
        ({"card_sha256": "f" * 64, "ancestors": []}, False),
        (None, False),
    ):
        (grown / "data_card.json").write_text(json.dumps({"since": since}))
        data = {"splits": {"test.parquet": "0" * 64}, "card_sha256": before}
        manifest = Bundle.read(next(tmp_path.glob("mlartifacts/**/bundle"))).manifest
        other = manifest.model_copy(update={"lineage": {"data": data}})
        assert held_out_alike(grown, {"champion": other}).passed is alike


def test_a_dirty_tree_is_recorded_and_refused(champion, config, make_run, many_splits):
    git = {"training": {"git": {"commit": "d" * 40, "branch": "main", "dirty": True}}}
    run = make_run(temperature=1.37, lineage=git)
    track(FinishedRun.read(run), config.track, "words")
    assert promote(config, "words", many_splits).refusal.name == "committed"
    allowed = config.model_copy(
        update={"promote": config.promote.model_copy(update={"allow_dirty": True})}
    )
    assert promote(allowed, "words", many_splits).moved


def test_the_same_rows_judge_only_so_many_bundles(champion, config, equal_run, many_splits):
    track(FinishedRun.read(equal_run), config.track, "words")
    promote(config, "words", many_splits, dry_run=True)
    few = config.model_copy(
        update={"promote": config.promote.model_copy(update={"max_judgements": 1})}
    )
    result = promote(few, "words", many_splits)
    assert result.refusal.name == "test_rows" and "bundle 2" in result.reason


def test_a_champion_that_changed_meanwhile_is_not_replaced(
    champion, equal_run, worse_run, config, many_splits, monkeypatch
):
    track(FinishedRun.read(worse_run), config.track, "words")
    registry = Registry(Store(config.track), "words")
    rival = registry.by_alias("challenger")
    track(FinishedRun.read(equal_run), config.track, "words")
    where = stage._where
    monkeypatch.setattr(
        stage, "_where", lambda: (registry.set_alias("champion", rival), where())[1]
    )
    with pytest.raises(RefusedError, match="moved the alias meanwhile"):
        promote(config, "words", many_splits)
    assert registry.by_alias("champion").digest == rival.digest


@pytest.mark.parametrize("alias", ["previous", "champion", "best"])
def test_stopped_anywhere_there_is_a_champion_that_passed(
    champion, equal_run, config, many_splits, monkeypatch, alias
):
    track(FinishedRun.read(equal_run), config.track, "words")
    candidate = Registry(Store(config.track), "words").by_alias("challenger")
    move = Registry.set_alias

    def stop(self, name, version):
        if name == alias:
            raise KeyboardInterrupt
        move(self, name, version)

    monkeypatch.setattr(Registry, "set_alias", stop)
    is_stopped = alias != "best"
    if is_stopped:
        with pytest.raises(KeyboardInterrupt):
            promote(config, "words", many_splits)
    else:
        promote(config, "words", many_splits)
    expected = champion if is_stopped else candidate
    bundle, _ = fetch(config.track, Wanted.parse("words"), many_splits.parent / f"b-{alias}")
    assert bundle.digest == expected.digest


def test_a_bundle_is_fetched_verified_and_once(champion, config, tmp_path):
    bundle, version = fetch(config.track, Wanted.parse("models:/words@champion"), tmp_path / "out")
    assert bundle.digest == champion.digest == version.digest
    stamp = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    fetch(config.track, Wanted.parse(f"words/{version.number}"), tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "tokenizer.json", "proof.json"])
def test_one_changed_byte_in_the_store_is_refused(champion, config, tmp_path, name):
    (file,) = tmp_path.glob(f"mlartifacts/**/bundle/{name}")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError):
        fetch(config.track, Wanted.parse("words"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_code_in_the_store_does_not_run(champion, config, tmp_path):
    (described,) = tmp_path.glob("mlartifacts/**/MLmodel")
    content = json.loads(described.read_text())
    content["flavors"]["python_function"] |= {"loader_module": "canary", "code": "code"}
    described.write_text(json.dumps(content))
    (described.parent / "code").mkdir()
    (described.parent / "code" / "canary.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    fetch(config.track, Wanted.parse("words"), tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    (described.parent / "bundle" / "extra.py").write_text("")
    with pytest.raises(BundleError):
        fetch(config.track, Wanted.parse("words"), tmp_path / "again")


def test_an_alias_that_was_moved_by_hand_is_refused(champion, equal_run, config, tmp_path):
    tracked = track(FinishedRun.read(equal_run), config.track, "words")
    registry = Registry(Store(config.track), "words")
    registry.set_alias("champion", tracked.version)
    with pytest.raises(RefusedError, match="passed no gate"):
        fetch(config.track, Wanted.parse("words"), tmp_path / "out")
    bundle, _ = fetch(config.track, Wanted.parse("words"), tmp_path / "out", unpromoted=True)
    assert bundle.digest == tracked.version.digest


@pytest.mark.parametrize("text", ["", "@champion", "a/b/c", "a@", "models:/"])
def test_a_name_of_no_form_is_refused(text):
    with pytest.raises(UsageError):
        Wanted.parse(text)


def test_a_version_that_is_not_there_is_refused(champion, config, tmp_path):
    for text in ("words/99", "nobody", "words@nobody"):
        with pytest.raises(UsageError):
            fetch(config.track, Wanted.parse(text), tmp_path / "out")
