"""Settings: one place for defaults, every mistake at once, and a saved config that reads back equal."""

import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from linnet.config import RENAMED, Config, defaults, load_config
from linnet.errors import ConfigError

DEFAULTS_TEXT = files("linnet").joinpath("defaults.toml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_seed_that_some_library_refuses_is_refused():
    assert load_config(overrides={"train.seed": 2**32 - 1}).train.seed == 2**32 - 1
    with pytest.raises(ConfigError, match=r"train\.seed"):
        load_config(overrides={"train.seed": 2**32})


def test_the_defaults_are_valid_and_complete():
    config = load_config()
    for name, section in Config.model_fields.items():
        assert set(section.annotation.model_fields) == set(defaults()[name])
        assert not any(
            field.is_required() is False for field in section.annotation.model_fields.values()
        )
    assert set(Config.model_fields) == set(defaults())
    assert config.model_dump(mode="json") == defaults()


def test_the_reference_recipe_is_the_default():
    train = load_config().train
    assert (train.num_train_epochs, train.learning_rate, train.weight_decay) == (3, "auto", 0.01)
    assert (train.per_device_train_batch_size, train.early_stopping_patience) == (16, 1)
    assert train.metric_for_best_model == "eval_accuracy"


def test_defaults_toml_holds_each_key_once_with_its_choices_told():
    keys = re.findall(r"^(\w+) =", DEFAULTS_TEXT, re.MULTILINE)
    assert len(keys) == sum(len(table) for table in defaults().values())
    for name, section in Config.model_fields.items():
        for key, field in section.annotation.model_fields.items():
            for choice in getattr(field.annotation, "__args__", ()):
                if isinstance(choice, str):
                    told = choice in DEFAULTS_TEXT
                    assert told, (
                        f"defaults.toml does not tell the choice {choice!r} of {name}.{key}"
                    )


def test_nobody_can_change_the_defaults_through_a_config():
    load_config(overrides={"train.seed": 7, "data.labels": ["a", "b"]})
    assert load_config().train.seed == 42
    assert load_config().data.labels == ()


def test_a_config_is_frozen():
    config = load_config()
    with pytest.raises(ValidationError, match="frozen"):
        config.train.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        config.train = config.train
    assert config == load_config()


def test_the_file_overrides_the_defaults_and_overrides_win(tmp_path):
    (tmp_path / "linnet.toml").write_text(
        "[train]\nseed = 1\nlearning_rate = 1e-4\n[run]\nname = 'x'\n"
    )
    config = load_config(overrides=["train.seed=2"])
    assert (config.train.seed, config.train.learning_rate, config.run.name) == (2, 1e-4, "x")
    assert config.train.num_train_epochs == 3


def test_a_named_file_replaces_the_found_one(tmp_path):
    (tmp_path / "linnet.toml").write_text("[train]\nseed = 1\n")
    (tmp_path / "other.toml").write_text("[serve]\nport = 1\n")
    config = load_config(tmp_path / "other.toml")
    assert (config.train.seed, config.serve.port) == (42, 1)


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("train.learning_rate=3e-5", "train", "learning_rate", 3e-5),
        ("train.learning_rate=1", "train", "learning_rate", 1.0),
        (" train.seed = 7 ", "train", "seed", 7),
        ("serve.max_body_bytes=2_000", "serve", "max_body_bytes", 2000),
        ("run.name=tweets", "run", "name", "tweets"),
        ('run.name="tweets"', "run", "name", "tweets"),
        (
            "model.name_or_path=/a folder/with=equals",
            "model",
            "name_or_path",
            "/a folder/with=equals",
        ),
        ("model.name_or_path=C:\\models\\x", "model", "name_or_path", "C:\\models\\x"),
        ("data.text_column=", "data", "text_column", ""),
        ('data.labels=["negative", "positive"]', "data", "labels", ("negative", "positive")),
        ("data.validation_size=0.1", "data", "validation_size", 0.1),
        ("data.validation_size=2000", "data", "validation_size", 2000),
    ],
)
def test_overrides(override, section, key, value):
    assert getattr(getattr(load_config(overrides=[override]), section), key) == value


def test_the_last_override_wins():
    assert load_config(overrides=["train.seed=1", "train.seed=2"]).train.seed == 2


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["seed=1"], "Expected section.key=value, such as train.learning_rate=3e-5; got 'seed'"),
        (
            ["train.seed"],
            "Expected section.key=value, such as train.learning_rate=3e-5; got 'train.seed'",
        ),
        (["train.sed=1"], "train.sed  is not a setting"),
        (["log.url=x"], "1 invalid setting:\n  log  was renamed to prediction_log"),
        (["score.part_rows=9"], "score.part_rows  was renamed to score.chunk_size"),
        (["trian.seed=1"], "trian  is not a setting"),
        (["train.seed.deep=1"], "train.seed.deep  is not a setting"),
        (["train.seed=x"], "train.seed  Input should be a valid integer (got 'x')"),
        (["train.seed=true"], "train.seed"),
        (["train.seed=1.0"], "train.seed"),
        (["train.learning_rate=nan"], "train.learning_rate"),
        (
            ["train.learning_rate=inf"],
            "train.learning_rate  Input should be a finite number (got inf)",
        ),
        (["train.learning_rate=0"], "train.learning_rate  Input should be greater than 0 (got 0)"),
        (["data.validation_size=1.5"], "data.validation_size"),
        (["data.labels=a,b"], "data.labels"),
        (["data.labels=[1, 2]"], "data.labels"),
        (["serve.port=65536"], "serve.port"),
        (["run.name=../x"], "run.name"),
        (
            ["data.conflicts=vote"],
            "data.conflicts  Input should be 'majority', 'drop' or 'keep' (got 'vote')",
        ),
        ({"model.name_or_path": "half \ud800"}, "model.name_or_path"),
    ],
)
def test_mistakes(overrides, complaint):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    assert complaint in str(caught.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config(
            overrides=["train.seed=-1", "train.sed=1", "data.validation_size=x", "extra.key=1"]
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 invalid settings:"
    assert sorted(line.split()[0] for line in lines[1:]) == [
        "data.validation_size",
        "extra",
        "train.sed",
        "train.seed",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"train = 5", "train  "),
        (b"[train", "is not valid TOML"),
        (b"[train]\nseed = 1\nseed = 2", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b"[[train]]\nseed = 1", "train  "),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, complaint):
    path = tmp_path / "linnet.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_config()


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"No such settings file: .*absent\.toml\."):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_config(tmp_path)


words = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(words, max_size=4),
    source=words,
    path=words.filter(bool),
    rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    size=st.floats(0, 1, exclude_min=True, exclude_max=True) | st.integers(1, 10**30),
)
def test_a_saved_config_reads_back_equal(tmp_path, labels, source, path, rate, size):
    overrides = {"data.labels": labels, "data.source": source, "model.name_or_path": path}
    config = load_config(
        overrides=overrides | {"train.learning_rate": rate, "data.test_size": size}
    )
    file = tmp_path / "saved.toml"
    config.save(file)
    assert load_config(file) == config
    assert set(tomllib.loads(config.dumps())) == set(Config.model_fields)


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("learning_rate", [3e-5], r"expected \[low, high\], or \[\] to leave it out"),
        ("learning_rate", [3e-5, 1e-5], r"expected \[low, high\]"),
        ("learning_rate", [0.0, 1e-5], "greater than 0"),
        ("dropout", [0.0, 1.0], "less than 1"),
        ("num_train_epochs", [1, 2, 3], r"expected \[low, high\]"),
        ("num_train_epochs", [1.5, 3], "valid integer"),
        ("warmup_ratio", 0.1, "valid tuple"),
        ("per_device_train_batch_size", [8, 8], "different choices"),
    ],
)
def test_a_range_to_search_has_two_ends(setting, value, complaint):
    with pytest.raises(ConfigError, match=rf"tune\.{setting}  .*{complaint}"):
        load_config(overrides={f"tune.{setting}": value})
    assert load_config(overrides={f"tune.{setting}": []}).tune.model_dump()[setting] == ()


def test_a_renamed_setting_has_a_new_name_that_exists():
    for old, new in RENAMED.items():
        section, _, key = new.partition(".")
        assert section in defaults()
        assert not key or key in defaults()[section]
        section, _, key = old.partition(".")
        assert section not in defaults() or key not in defaults()[section]
