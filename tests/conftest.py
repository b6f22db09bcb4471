"""Tiny real things: a tokenizer of a few words, a one-layer DistilBERT, a small labelled file."""

import csv
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches out
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny models gain nothing from threads, and threads fight over few cores

Once = Callable[[str, Callable[[Path], Any]], Path]

WORDS = "good bad day film love hate the a is was not very so my i it this and rain sun".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [
    letter
    for plain in "abcdefghijklmnopqrstuvwxyz0123456789!?.,'@#:;/()-"
    for letter in (plain, f"##{plain}")
]
VOCABULARY = SPECIAL + WORDS + LETTERS


def write_tokenizer(directory: Path) -> None:
    """A real WordPiece tokenizer in Hugging Face layout."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(VOCABULARY))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 64,
        **names,
        "mask_token": "[MASK]",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config))


def make_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Labelled texts with some noise: "good", "love" and "sun" lean to positive, their opposites to negative."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        positive = draw.random() < 0.5
        lean = (
            ("good", "love", "sun")
            if positive != (draw.random() < 0.05)
            else ("bad", "hate", "rain")
        )
        words = [draw.choice(WORDS) for _ in range(draw.randint(2, 12))] + [
            draw.choice(lean),
            draw.choice(lean),
        ]
        draw.shuffle(words)
        rows.append((" ".join([*words, str(number)]), "positive" if positive else "negative"))
    return rows


def write_csv(
    path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")
) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders that take longest first, so that no process is left alone with one of their files at the end."""
    items.sort(key=lambda item: item.path.parent.name not in {"notebooks", "scripts", "train"})


@pytest.fixture
def files_of_at_most() -> Callable[[int], AbstractContextManager[None]]:
    """Have the system refuse to write more bytes than some to a file, as a full disk does."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        former, handler = (
            resource.getrlimit(resource.RLIMIT_FSIZE),
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a folder, by its name, once for all processes that test at the same time."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    # `make test-lowest` makes the bundles in one environment and tests with them in another.
    root = Path(os.environ.get("LINNET_FIXTURES", root))

    def once(name: str, make: Callable[[Path], Any]) -> Path:
        folder, making = root / name / "it", root / name / "making"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (root / name / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                shutil.rmtree(making, ignore_errors=True)
                make(making)
                making.rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json."""
    directory = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    return directory / "tokenizer.json"


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer DistilBERT encoder with seeded weights, in Hugging Face layout, without a head."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    directory = tmp_path_factory.mktemp("encoder")
    write_tokenizer(directory)
    torch.manual_seed(0)
    size = len(dict.fromkeys(VOCABULARY))
    config = DistilBertConfig(
        vocab_size=size,
        dim=16,
        n_layers=1,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    DistilBertModel(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def listening() -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an ASGI app on a free port, in a thread, as long as a block lasts; gives its address."""
    import uvicorn

    @contextmanager
    def listening(app: Any) -> Iterator[str]:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the app did not start"
            thread.join(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)

    return listening


@pytest.fixture(scope="session")
def labelled_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 labelled texts as a CSV with a header."""
    return write_csv(tmp_path_factory.mktemp("raw") / "rows.csv", make_rows(600))


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 other texts of that kind, one a line."""
    path = tmp_path_factory.mktemp("raw") / "texts.txt"
    path.write_text("\n".join(text for text, _ in make_rows(500, seed=9)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def splits(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 600 texts as `prepare` splits them."""
    from linnet.config import load_config
    from linnet.data import prepare

    directory = tmp_path_factory.mktemp("prepared") / "splits"
    prepare(load_config(overrides={"data.source": str(labelled_csv)}), directory)
    return directory


TONES = {
    "praise": ("good", "love"),
    "blame": ("bad", "hate"),
    "weather": ("sun", "rain"),
    "film": ("film",),
}


def make_tones(count: int, seed: int = 0) -> list[tuple[str, list[int]]]:
    """Texts and the sorted ids of their tones, of which most have one or two, some none; with some noise."""
    draw = random.Random(seed)
    filler = [word for word in WORDS if not any(word in words for words in TONES.values())]
    rows = []
    for number in range(count):
        words = [draw.choice(filler) for _ in range(draw.randint(2, 8))]
        ids = [k for k, share in enumerate((0.5, 0.4, 0.3, 0.08)) if draw.random() < share]
        words += [
            draw.choice(choice)
            for k, choice in enumerate(TONES.values())
            if (k in ids) != (draw.random() < 0.03)
        ]
        draw.shuffle(words)
        rows.append((" ".join([*words, str(number)]), ids))
    return rows


@pytest.fixture(scope="session")
def tone_splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """800 texts of any number of four tones, split; e-mail addresses and handles count as masked in them."""
    import pyarrow as pa

    from linnet.data.split.files import SplitWriter

    directory = tmp_path_factory.mktemp("tones") / "splits"
    directory.mkdir()
    rows = make_tones(800)
    parts = {
        "train": rows[::5] + rows[1::5] + rows[2::5],
        "validation": rows[3::5],
        "test": rows[4::5],
    }
    for name, part in parts.items():
        with SplitWriter(
            directory, name, ["text", "label"], list(TONES), True, ("email", "handle")
        ) as writer:
            texts, ids = zip(*part, strict=True)
            writer.write(pa.table({"text": texts, "label": pa.array(ids, pa.list_(pa.int64()))}))
    return directory


@pytest.fixture(scope="session")
def unlabelled_tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 other texts of tones, one a line, each with an e-mail address."""
    path = tmp_path_factory.mktemp("raw") / "tones.txt"
    path.write_text(
        "\n".join(f"{text} a@b.org" for text, _ in make_tones(600, seed=9)), encoding="utf-8"
    )
    return path


@pytest.fixture(scope="session")
def tone_checkpoint(tone_splits: Path, once: Once) -> Path:
    """A small encoder, trained by Linnet on the tones from nothing."""
    from linnet.config import load_config
    from linnet.train import train

    recipe = {"learning_rate": 1e-3, "num_train_epochs": 8, "metric_for_best_model": "eval_f1"}
    overrides = {
        "model.name_or_path": "scratch",
        "model.max_length": 64,
        "train.early_stopping_patience": 8,
    }
    config = load_config(overrides=overrides | {f"train.{k}": v for k, v in recipe.items()})
    return once("tone_checkpoint", lambda directory: train(config, tone_splits, directory))


@pytest.fixture(scope="session")
def tone_bundle(request: pytest.FixtureRequest, once: Once) -> Path:
    """The tones' checkpoint as a proven bundle."""
    settings = {"run.name": "tones", "evaluate.bootstrap_resamples": 300}
    return once("tone_bundle", export_of(request, "tone_checkpoint", "tone_splits", settings))


@pytest.fixture(scope="session")
def checkpoint(encoder: Path, splits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder fine-tuned on the splits in a few seconds, in Hugging Face layout, without a training.json."""
    import numpy as np
    import torch
    from transformers import DistilBertForSequenceClassification

    from linnet.data import read_split
    from linnet.predict.batching import pad
    from linnet.text import Tokenizer

    train = read_split(splits, "train")
    names = dict(enumerate(train.label_names))
    torch.manual_seed(0)
    model = DistilBertForSequenceClassification.from_pretrained(
        encoder, id2label=names, label2id={name: i for i, name in names.items()}
    )
    tokenizer = Tokenizer(encoder / "tokenizer.json", 64)
    rows = [encoding.ids for encoding in tokenizer.encode(train.texts)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(60):
        chosen = np.arange(32 * step, 32 * step + 32) % len(rows)
        input_ids, attention_mask = map(
            torch.from_numpy, pad([rows[i] for i in chosen], tokenizer.pad_id)
        )
        labels = torch.from_numpy(train.labels[chosen])
        model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    directory = tmp_path_factory.mktemp("trained") / "checkpoint"
    model.save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, directory / name)
    return directory


@pytest.fixture(scope="session")
def bundle(request: pytest.FixtureRequest, once: Once) -> Path:
    """The checkpoint as a proven bundle. Tests that change one copy it first."""
    return once("bundle", export_of(request, "checkpoint", "splits", {"run.name": "tiny"}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium, one for each file of tests: while it runs, asyncio.run can not be called."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs the package playwright (linnet-text[dev])"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # CI runs as root, whom Chromium's sandbox refuses.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def inspect_page() -> Callable[[Any], None]:
    """Holds an open page to axe-core's rules and to its width, on three screens, light and dark."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="needs the package axe-playwright-python (linnet-text[dev])",
    ).Axe()

    def inspect_page(page: Any) -> None:
        found = []
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                for item in axe.run(page).response["violations"]:
                    where = [node["target"] for node in item["nodes"]][:3]
                    if item["impact"] in ("serious", "critical"):
                        found.append((width, scheme, item["id"], where))
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append((width, "the page scrolls sideways"))
        assert found == []

    return inspect_page


def export_of(
    request: pytest.FixtureRequest, checkpoint: str, splits: str, settings: dict[str, Any]
) -> Callable[[Path], Any]:
    """Exports a checkpoint; its fixtures, and the packages they need, are only used if it must."""

    def export_to(directory: Path) -> None:
        from linnet.config import load_config
        from linnet.export import export

        config = load_config(overrides={"model.max_length": 64} | settings)
        made = request.getfixturevalue(checkpoint), request.getfixturevalue(splits)
        export(config, *made, directory)

    return export_to
