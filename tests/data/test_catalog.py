"""A name stands for a path and settings; the files come from a site, a mirror or the cache."""

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from linnet.cli.main import main
from linnet.config import DataConfig, load_config
from linnet.data import prepare
from linnet.data.card import write
from linnet.data.sources.catalog import Dataset, cache_folder, catalog, mirrored, origin, resolve
from linnet.data.sources.fetch import Remote, RetryPolicy
from linnet.errors import DataError, UsageError

ROWS = "".join(f"{number % 2}\tmessage number {number}\n" for number in range(200)).encode()
HASTY = RetryPolicy(timeout=2, attempts=2, pause=0.01)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an empty folder to work in."""
    for name in ("LINNET_MIRROR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LINNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cache" / "data"


@pytest.fixture
def datasets(site: Any) -> dict[str, Dataset]:
    site.files["/far/messages.tsv"] = ROWS
    remote = Remote(f"{site.url}/far/messages.tsv", hashlib.sha256(ROWS).hexdigest(), len(ROWS))
    settings = {"text_column": "1", "label_column": "0", "labels": ["0", "1"]}
    return {
        "messages": Dataset(
            "Messages",
            "none",
            "site.example",
            "messages.tsv",
            settings,
            {"0": "ham"},
            {"messages.tsv": remote},
        )
    }


def settings(**values: object) -> DataConfig:
    return load_config(overrides={f"data.{key}": value for key, value in values.items()}).data


@pytest.mark.parametrize("name", catalog())
def test_each_entry_is_whole(name: str) -> None:
    dataset = catalog()[name]
    assert re.fullmatch("[a-z0-9_]+", name)
    assert dataset.about and dataset.licence and dataset.page
    for place, remote in dataset.files.items():
        assert PurePosixPath(place).name == place
        assert re.fullmatch("[0-9a-f]{64}", remote.sha256)
        assert remote.bytes > 0
        assert re.fullmatch(r"https?://[a-z.]+/\S+", remote.url)
    assert dataset.source.partition("/")[0] in {"", *dataset.files}
    asked = settings(**dataset.settings)
    plain = settings()
    assert all(getattr(plain, key) in ("", ()) and getattr(asked, key) for key in dataset.settings)


def test_no_two_files_have_one_path() -> None:
    # A mirror tells them apart by their paths alone.
    urls = [remote.url for dataset in catalog().values() for remote in dataset.files.values()]
    assert len({url.split("/", 3)[3] for url in urls}) == len(urls)


def test_a_name_becomes_a_path_and_settings(datasets: dict[str, Dataset], folder: Path) -> None:
    resolved = resolve(settings(source="messages", sample=20), datasets, HASTY)
    assert Path(resolved.source) == folder / "messages" / "messages.tsv"
    assert (resolved.text_column, resolved.label_column, resolved.labels) == ("1", "0", ("0", "1"))
    assert resolved.sample == 20


def test_what_the_user_sets_wins(datasets: dict[str, Dataset]) -> None:
    resolved = resolve(
        settings(source="messages", label_column="2", labels=["1", "0"]), datasets, HASTY
    )
    assert (resolved.text_column, resolved.label_column, resolved.labels) == ("1", "2", ("1", "0"))


def test_the_usual_reader_reads_it(datasets: dict[str, Dataset], tmp_path: Path) -> None:
    config = load_config(overrides={"data.source": "messages"})
    config = config.model_copy(update={"data": resolve(config.data, datasets, HASTY)})
    card = prepare(config, tmp_path / "splits")
    assert card["accounting"]["rows_used"] == 200
    assert card["labels"] == ["0", "1"]


def test_the_cache_needs_no_network(
    datasets: dict[str, Dataset], site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(settings(source="messages"), datasets, HASTY)
    monkeypatch.setenv("LINNET_MIRROR", NOWHERE)
    assert resolve(settings(source="messages"), datasets, HASTY) == first
    assert len(site.ranges) == 1


def test_a_mirror_is_asked_instead(
    datasets: dict[str, Dataset], site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files = {"/copies/far/messages.tsv": ROWS}
    monkeypatch.setenv("LINNET_MIRROR", f"{site.url}/copies/")
    assert Path(resolve(settings(source="messages"), datasets, HASTY).source).read_bytes() == ROWS


def test_a_mirror_is_not_believed(
    datasets: dict[str, Dataset], site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files = {"/far/messages.tsv": ROWS[::-1]}
    monkeypatch.setenv("LINNET_MIRROR", site.url)
    with pytest.raises(DataError, match="expected a file with the SHA-256"):
        resolve(settings(source="messages"), datasets, HASTY)


@pytest.mark.parametrize(
    "mirror", ["mirror.example", "file:///data", "https://", "ftp://mirror.example", "http://a/?q"]
)
def test_a_mirror_is_an_address(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINNET_MIRROR", mirror)
    with pytest.raises(UsageError, match=r"LINNET_MIRROR is .*expected an address"):
        mirrored(Remote("https://site.example/a.csv", "0" * 64, 1))


def test_a_name_is_a_name_and_a_path_a_path(datasets: dict[str, Dataset], folder: Path) -> None:
    Path("messages").write_text("text,label\nmine,a\n")
    assert resolve(settings(source="messages"), datasets, HASTY).source.startswith(str(folder))
    for path in ("./messages", str(Path("messages").absolute())):
        assert resolve(settings(source=path), datasets, HASTY) == settings(source=path)


@pytest.mark.parametrize("source", ["generated", "rows.csv", "data/rows", "missing.tsv.gz", ""])
def test_what_is_no_name_stays(source: str) -> None:
    assert resolve(settings(source=source), {}).source == source


def test_a_mistyped_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--data", "sentimnt140"]) == 3
    said = capsys.readouterr().err
    assert (
        "'sentimnt140' is neither a file here nor a known data set. Did you mean 'sentiment140'?"
        in said
    )
    assert "banking77" in said


def test_offline_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: Any, folder: Path
) -> None:
    monkeypatch.setenv("LINNET_MIRROR", NOWHERE)
    assert main(["prepare", "--data", "banking77"]) == 3
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    for part in (f"{NOWHERE}/PolyAI-LDN/", str(folder / "banking77"), "--data FILE"):
        assert part in said
    assert not Path("splits").exists()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LINNET_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "linnet" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "linnet" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "linnet" / "data"
    monkeypatch.setenv("LINNET_CACHE", "here")
    assert cache_folder() == Path("here").absolute() / "data"


def test_the_card_says_where_it_is_from(datasets: dict[str, Dataset], folder: Path) -> None:
    source = Path(resolve(settings(source="messages"), datasets, HASTY).source)
    assert origin(source, datasets) == {
        "known": {
            "name": "messages",
            "about": "Messages",
            "licence": "none",
            "page": "site.example",
            "urls": [datasets["messages"].files["messages.tsv"].url],
            "label_names": {"0": "ham"},
        }
    }
    for elsewhere in (
        folder,
        folder / "mine" / "messages.tsv",
        folder / "messages" / "other",
        Path("messages.tsv"),
    ):
        assert origin(elsewhere, datasets) == {}
    source.write_bytes(ROWS[::-1])
    assert origin(source, datasets) == {}


def test_the_page_shows_where_it_is_from(splits: Path, tmp_path: Path) -> None:
    card = json.loads((splits / "data_card.json").read_text())
    said = {
        "name": "messages",
        "about": "Texts",
        "licence": "<none>",
        "page": "site.example",
        "urls": [],
    }
    card["source"]["known"] = said | {"label_names": {"0": "ham", "1": "spam"}}
    write(tmp_path, card, {"train": np.array([3])})
    page = (tmp_path / "data_card.html").read_text(encoding="utf-8")
    assert (
        "The data set <code>messages</code>. Texts. Licence:\n&lt;none&gt;. Described at site.example."
        in page
    )
    assert "Labels: 0 is ham, 1 is spam</p>" in page


# The parts of a name's own files that are at hand; sentiment140 and ag_news are not, as their sites have them.
@pytest.mark.slow
@pytest.mark.skipif(
    "LINNET_DATA" not in os.environ, reason="LINNET_DATA does not name the folder of real data"
)
@pytest.mark.parametrize(
    "name", [name for name in catalog() if name not in ("sentiment140", "ag_news")]
)
def test_each_set_prepares(
    name: str, site: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("LINNET_MIRROR", site.url)
    local = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in _real_files()}
    for remote in catalog()[name].files.values():
        site.files[mirrored(remote).url.removeprefix(site.url)] = local[remote.sha256].read_bytes()
    assert main(["prepare", "--data", name, "--set", "data.noise_sample=0"]) == 0
    card = _card()
    assert card["source"]["known"]["name"] == name
    assert f"Licence: {catalog()[name].licence}." in " ".join(capsys.readouterr().out.split())
    rows, classes = EXPECTED[name]
    assert card["accounting"]["rows_in"] == rows
    assert len(card["labels"]) == classes
    assert card["accounting"]["rows_used"] > 0.9 * rows
    assert set(catalog()[name].label_names) <= set(card["labels"])


EXPECTED = {
    "banking77": (10_003, 77),
    "goemotions": (43_410, 28),
    "rotten_tomatoes": (10_662, 2),
    "sms_spam": (5_574, 2),
    "sst2": (6_920, 2),
    "trec": (5_452, 6),
    "tweeteval_emotion": (3_257, 4),
}


def _real_files() -> list[Path]:
    return [
        file
        for file in Path(os.environ["LINNET_DATA"], "classification").rglob("*")
        if file.is_file()
    ]


def _card() -> dict[str, Any]:
    card: dict[str, Any] = json.loads(Path("splits", "data_card.json").read_text(encoding="utf-8"))
    return card


def archive(path: Path) -> Path:
    """A .zip like Sentiment140's: two files of the same shape, in folders of their own."""
    with zipfile.ZipFile(path, "w") as file:
        for name, labels in (("train/rows.csv", "04"), ("test/rows.csv", "024")):
            lines = (
                f'"{labels[number % len(labels)]}","1","Mon","NO","eve","tweet {number}"\n'
                for number in range(90)
            )
            file.writestr(name, "".join(lines))
    return path


def test_a_member_of_an_archive_is_read(site: Any, tmp_path: Path) -> None:
    content = archive(tmp_path / "both.zip").read_bytes()
    site.files["/both.zip"] = content
    remote = Remote(f"{site.url}/both.zip", hashlib.sha256(content).hexdigest(), len(content))
    datasets = {
        "both": Dataset("Both", "none", "", "both.zip/train/rows.csv", {}, {}, {"both.zip": remote})
    }
    config = load_config(overrides={"data.source": "both"})
    config = config.model_copy(update={"data": resolve(config.data, datasets, HASTY)})
    card = prepare(config, tmp_path / "splits")
    assert card["accounting"]["rows_in"] == 90
    assert card["labels"] == ["negative", "positive"]
    assert (card["source"]["member"], card["source"]["sha256"]) == ("train/rows.csv", remote.sha256)


def test_which_member_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "both.zip")
    assert main(["prepare", "--data", str(path)]) == 3
    assert f"Name one of several behind the archive: {path}/MEMBER." in capsys.readouterr().err
    assert main(["prepare", "--data", f"{path}/rows.csv"]) == 3
    assert (
        "there is no 'rows.csv' inside. The data files are: 'train/rows.csv', 'test/rows.csv'."
        in capsys.readouterr().err
    )
