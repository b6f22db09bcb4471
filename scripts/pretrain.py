"""How `linnet-mini` was made: a small encoder that learns from unlabelled texts what a larger one makes of them.

    python scripts/pretrain.py --splits FULL --exclude OTHER --teacher ENCODER --about-teacher NAME --out mini

The student begins with some of the teacher's layers and has a vocabulary of its own, learnt from the corpus. What it
makes of each word, of a text's first token and of the whole text is drawn to what the teacher makes of them:
distillation of hidden states, as in DistilBERT (Sanh et al. 2019, arXiv:1910.01108, section 3) and TinyBERT (Jiao et
al. 2020, arXiv:1909.10351, section 3.1). The vocabularies differ, but both models cut texts into the same words first.

The corpus is the texts of the train split, of which those go that are like any text of the other splits. It is read
once, in an order drawn from the seed; the rare texts of more than `POSITIONS` tokens are passed over. Killed, the same
command goes on after the last state, to the same bits on a CPU.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Encoding, Tokenizer
from torch.nn.functional import cosine_similarity
from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertModel

from linnet import mini
from linnet.data import read_split
from linnet.data.group.texts import normalised
from linnet.files import canonical_json, digest, whole_directory, write_text
from linnet.train.distributed import device
from linnet.train.encoder.find import quiet
from linnet.train.encoder.word_pieces import PAD, UNK, learn_tokenizer, save_tokenizer
from linnet.train.network.functions import Layout
from linnet.train.network.optimizer import AdamW
from linnet.train.network.packed import Packed
from linnet.train.network.precision import choose_precision

POSITIONS = 128
ALPHABET_SIZE = 160
WARMUP_STEPS = 100
DECAY = 0.2  # share of the steps, at the end, over which the learning rate falls to 0
MAX_GRAD_NORM = 1.0
DROPOUT = {
    "dropout": 0.1,
    "attention_dropout": 0.1,
}  # for fine-tuning; there is none here, as no text comes twice
AT_ONCE = 50_000
PARTS = "words", "first", "text"  # of the loss
CARD = Path(__file__).with_name("linnet_mini.md")
ENCODER_FILES = "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
# Arguments that have to be the same for a run to be gone on with.
OF_THE_RUN = (
    "layers",
    "vocabulary_size",
    "vocabulary_texts",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "seed",
)


def main(argv: list[str] | None = None) -> None:
    """Build the corpus and the vocabulary, train, and write the encoder into OUT/encoder now and then."""
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    texts, counts = corpus(arguments.splits, arguments.exclude, arguments.seed)
    print(json.dumps(counts), flush=True)
    tokenizer = arguments.out / "tokenizer.json"
    if not tokenizer.is_file():
        learnt = learn_tokenizer(
            texts[: arguments.vocabulary_texts], arguments.vocabulary_size, ALPHABET_SIZE
        )
        save_tokenizer(learnt, POSITIONS, arguments.out)
    run = Run(arguments, tokenizer, counts)
    run.restore()
    while run.step < arguments.steps:
        start = run.step * arguments.batch_size
        rows = texts[start : start + arguments.batch_size]
        if len(rows) < arguments.batch_size:
            raise SystemExit(f"The corpus ends after {run.step:,} steps; ask for no more of them.")
        run.learn(rows)
        if run.step % arguments.save_steps == 0 or run.step == arguments.steps:
            run.save()


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--splits",
        type=Path,
        required=True,
        help="a folder of `linnet prepare`; its train split is the corpus",
    )
    add(
        "--exclude",
        type=Path,
        nargs="*",
        default=[],
        help="more such folders, whose held-out texts are left out too",
    )
    add(
        "--teacher",
        type=Path,
        required=True,
        help="a DistilBERT with an uncased WordPiece vocabulary, a folder",
    )
    add("--about-teacher", required=True, metavar="NAME", help="its name and licence, for the card")
    add("--out", type=Path, required=True, help="where states and the encoder are written")
    add("--steps", type=int, default=8000)
    add("--batch-size", type=int, default=32, help="texts in a step")
    add(
        "--layers",
        type=int,
        nargs="+",
        default=[1, 3, 5],
        help="the teacher's layers that the student begins with",
    )
    add("--vocabulary-size", type=int, default=6400)
    add(
        "--vocabulary-texts",
        type=int,
        default=200_000,
        help="texts that the vocabulary is learnt from",
    )
    add("--learning-rate", type=float, default=5e-4)
    add("--weight-decay", type=float, default=0.01)
    add("--save-steps", type=int, default=250)
    add("--threads", type=int, default=torch.get_num_threads())
    add("--seed", type=int, default=42)
    return parser.parse_args(argv)


def corpus(splits: Path, others: list[Path], seed: int) -> tuple[list[str], dict[str, int]]:
    """The texts to learn from, shuffled, and how many were left out and why.

    A text is left out if up to case, names, links, marks and repeated letters it is one of a validation or test split.
    """
    held_out = set()
    for folder in (splits, *others):
        for name in ("validation", "test"):
            held_out.update(keys(read_split(folder, name).texts))
    texts = read_split(splits, "train").texts
    kept = [text for text, key in zip(texts, keys(texts), strict=True) if key not in held_out]
    counts = {"train_texts": len(texts), "left_out": len(texts) - len(kept), "corpus": len(kept)}
    order = np.random.default_rng(seed).permutation(len(kept))
    return [kept[row] for row in order], counts


def keys(texts: list[str]) -> list[str]:
    """What `linnet prepare` compares texts by."""
    return [
        key
        for start in range(0, len(texts), AT_ONCE)
        for key in normalised(texts[start : start + AT_ONCE])
    ]


@dataclass(frozen=True)
class Tokens:
    """Some texts as one of the models reads them.

    Attributes:
        ids: Token ids, int64 (tokens,).
        layout: Which of them are which text's.
        words: Which word each token belongs to, counted through all texts, with the special tokens; int64 (tokens,).
    """

    ids: NDArray[np.int64]
    layout: Layout
    words: NDArray[np.int64]

    @property
    def word_count(self) -> int:
        """Words of all texts."""
        return int(self.words[-1]) + 1

    @property
    def texts(self) -> NDArray[np.int64]:
        """Which text each token belongs to, int64 (tokens,)."""
        return np.repeat(np.arange(len(self.layout.lengths)), self.layout.lengths)


def lay(encodings: Sequence[Encoding], where: torch.device) -> Tokens:
    """Lay encoded texts one after the other."""
    ids, words, count = [], [], 0
    for encoding in encodings:
        inner = np.array(encoding.word_ids[1:-1], np.int64)
        last = int(inner[-1]) if len(inner) else -1
        words.append(count + np.concatenate([[0], inner + 1, [last + 2]]))
        ids.append(np.array(encoding.ids, np.int64))
        count += last + 3
    layout = Layout(np.array([len(row) for row in ids]), where)
    return Tokens(np.concatenate(ids), layout, np.concatenate(words))


def means(states: torch.Tensor, groups: NDArray[np.int64], count: int) -> torch.Tensor:
    """Mean state of each group of rows, float32 (count, width)."""
    places = torch.from_numpy(groups).to(states.device)
    sums = states.new_zeros((count, states.shape[1])).index_add_(0, places, states)
    sizes = np.bincount(groups, minlength=count).astype(np.float32)
    return sums / torch.from_numpy(sizes).to(states.device)[:, None]


def distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared distance of two sets of states as a share of the teacher's own squared size."""
    return (student - teacher).square().sum() / teacher.square().sum()


def losses(states: torch.Tensor, own: Tokens, target: torch.Tensor, other: Tokens) -> torch.Tensor:
    """How far the student is from the teacher on words, on first tokens and on texts: the `PARTS`, float32 (3,)."""
    if own.word_count != other.word_count:
        raise SystemExit(
            f"The student's tokenizer finds {own.word_count} words where the teacher's finds {other.word_count}. "
            "Expected a teacher with the tokenizer of BERT's uncased models."
        )
    words = distance(
        *(means(*part, own.word_count) for part in ((states, own.words), (target, other.words)))
    )
    first = distance(states[own.layout.starts], target[other.layout.starts])
    texts = len(own.layout.lengths)
    pooled = (means(*part, texts) for part in ((states, own.texts), (target, other.texts)))
    return torch.stack([words, first, 1 - cosine_similarity(*pooled).mean()])


class Run:
    """A student, its teacher, and how far they have come."""

    def __init__(self, arguments: argparse.Namespace, tokenizer: Path, counts: dict[str, int]):
        self.arguments, self.counts, self.where, self.step = arguments, counts, device(), 0
        self.cut, self.before, self.started = 0, 0.0, time.process_time()
        self.tokenizers = [cut(path) for path in (tokenizer, arguments.teacher / "tokenizer.json")]
        with quiet():
            teacher = DistilBertForSequenceClassification.from_pretrained(
                arguments.teacher, dtype=torch.float32
            )
        student = begin(teacher.distilbert, *self.tokenizers, arguments.layers)
        self.precision = choose_precision("auto", student.config.dim, self.where)
        self.student, self.teacher = (self._packed(model) for model in (student, teacher))
        self.optimizer = AdamW(self.student.weights, arguments.weight_decay)
        self.settings = {name: getattr(arguments, name) for name in OF_THE_RUN} | {
            "corpus": counts["corpus"],
            "splits_digest": digest(arguments.splits / "train.parquet"),
            "teacher_digest": digest(arguments.teacher / "model.safetensors"),
        }
        self.losses: list[torch.Tensor] = []
        self.history: list[dict[str, float]] = []

    def _packed(self, model: Any) -> Packed:
        model.to(self.where)
        return Packed(
            model, self.precision.dtype, np.arange(model.config.vocab_size), self.arguments.seed
        )

    def learn(self, texts: list[str]) -> None:
        """One step from these texts."""
        pairs = zip(*(tokenizer.encode_batch(texts) for tokenizer in self.tokenizers), strict=True)
        whole = [pair for pair in pairs if not any(encoding.overflowing for encoding in pair)]
        self.cut += len(texts) - len(whole)
        own, other = (lay(encodings, self.where) for encodings in zip(*whole, strict=True))
        with torch.no_grad():
            target = self._states(self.teacher, other, training=False)
        self.student.weights.zero_grad()
        parts = losses(self._states(self.student, own, training=True), own, target, other)
        parts.sum().backward()
        norm = self.student.weights.norm()
        if not torch.isfinite(parts.sum() + norm):
            raise SystemExit(
                f"At step {self.step + 1} the loss is {parts.tolist()}: lower --learning-rate."
            )
        self.optimizer.step(self._rate(), torch.clamp(norm / MAX_GRAD_NORM, min=1.0))
        self.losses.append(parts.detach())
        self.step += 1

    def _states(self, model: Packed, of: Tokens, training: bool) -> torch.Tensor:
        ids = torch.from_numpy(of.ids).to(self.where)
        wanted = torch.arange(len(ids), device=self.where)
        return model.encode(ids, of.layout, wanted, of.layout, training).float()

    def _rate(self) -> float:
        """Up in `WARMUP_STEPS`, level, and down to 0 over the last `DECAY` of all."""
        steps = self.arguments.steps
        falling = (steps - self.step) / max(DECAY * steps, 1)
        return float(
            self.arguments.learning_rate * min(1.0, (self.step + 1) / WARMUP_STEPS, falling)
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        buffers = zip(self.student.weights.buffers, self.optimizer.moments, strict=True)
        return {
            f"{number}.{part}": value
            for number, (buffer, moments) in enumerate(buffers)
            for part, value in enumerate((buffer.master, *moments))
        }

    def save(self) -> None:
        """Write the state, from which the same command goes on, and the encoder as it is."""
        seconds = self.before + time.process_time() - self.started
        mean = torch.stack(self.losses).mean(0).tolist()
        self.losses = []
        parts = {name: round(value, 4) for name, value in zip(PARTS, mean, strict=True)}
        self.history.append({"step": self.step, "seconds": round(seconds), **parts})
        print(json.dumps(self.history[-1]), flush=True)
        with whole_directory(self.arguments.out / "encoder") as folder:
            self._write_encoder(folder)
        state = {
            "settings": self.settings,
            "steps": self.arguments.steps,
            "step": self.step,
            "cut": self.cut,
        }
        with whole_directory(
            self.arguments.out / "state"
        ) as folder:  # last: what it says is done is done
            save_file(self._tensors(), folder / "state.safetensors")
            write_text(
                folder / "state.json",
                canonical_json(state | {"seconds": seconds, "history": self.history}),
            )

    def restore(self) -> None:
        """Go on after the last state, if there is one."""
        folder = self.arguments.out / "state"
        if not folder.is_dir():
            return
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["settings"] != self.settings:
            raise SystemExit(
                f"{folder} is of a run with {state['settings']}, not {self.settings}: choose another --out."
            )
        if state["steps"] != self.arguments.steps and state["step"] > (1 - DECAY) * state["steps"]:
            raise SystemExit(
                f"In {folder} the learning rate is falling to 0 at step {state['steps']}: keep --steps."
            )
        found = load_file(folder / "state.safetensors")
        for name, value in self._tensors().items():
            value.copy_(found[name])
        for buffer in self.student.weights.buffers:
            buffer.copy.copy_(buffer.master)
        self.step = self.optimizer.steps = state["step"]
        self.cut, self.before, self.history = state["cut"], state["seconds"], state["history"]

    def _write_encoder(self, folder: Path) -> None:
        prefix = "distilbert."
        state = self.student.weights.state_dict().items()
        weights = {
            name.removeprefix(prefix): value.half().cpu()
            for name, value in state
            if name.startswith(prefix)
        }
        parameters = sum(map(torch.Tensor.numel, weights.values()))
        config = DistilBertConfig(**self.student.model.config.to_dict() | DROPOUT)
        with torch.device("meta"):
            model = DistilBertModel(config)
        with quiet():
            model.save_pretrained(folder, state_dict=weights)
        (folder / "model.safetensors").chmod(0o644)
        save_tokenizer(self.tokenizers[0], POSITIONS, folder)
        write_text(
            folder / mini.DIGESTS,
            canonical_json({name: digest(folder / name) for name in ENCODER_FILES}),
        )
        size = sum(file.stat().st_size for file in folder.iterdir())
        write_text(folder / "README.md", self._card(parameters, size))

    def _card(self, parameters: int, size: int) -> str:
        arguments, last = self.arguments, self.history[-1]
        rows = [
            f"| {row['step']:,} | " + " | ".join(f"{row[part]:.3f}" for part in PARTS) + " |"
            for row in self.history
        ]
        return CARD.read_text(encoding="utf-8").format(
            **vars(arguments),
            **self.counts,
            positions=POSITIONS,
            alphabet_size=ALPHABET_SIZE,
            begins=", ".join(map(str, arguments.layers)),
            n_layers=len(arguments.layers),
            width=self.student.model.config.dim,
            parameters=parameters,
            megabytes=size / 1e6,
            warmup=WARMUP_STEPS,
            decay=DECAY,
            step=self.step,
            texts=self.step * arguments.batch_size - self.cut,
            cut=self.cut,
            hours=last["seconds"] / 3600,
            precision=self.precision.name,
            machine=f"{self.where} ({platform.machine()}), threads: {torch.get_num_threads()}",
            torch=torch.__version__,
            history="\n".join(rows),
            splits_digest=self.settings["splits_digest"],
            teacher_digest=self.settings["teacher_digest"],
        )


def cut(tokenizer: Path) -> Tokenizer:
    """A tokenizer that cuts texts to `POSITIONS` tokens and doesn't pad."""
    found = Tokenizer.from_file(str(tokenizer))
    found.no_padding()
    found.enable_truncation(POSITIONS)
    return found


def begin(teacher: Any, own: Tokenizer, other: Tokenizer, layers: list[int]) -> Any:
    """A student with some of the teacher's layers, its positions, and embeddings made of those of its pieces."""
    settings = teacher.config.to_dict() | {
        "vocab_size": own.get_vocab_size(),
        "n_layers": len(layers),
        "max_position_embeddings": POSITIONS,
        "pad_token_id": own.token_to_id(PAD),
        **dict.fromkeys(DROPOUT, 0.0),
    }
    model = DistilBertForSequenceClassification(DistilBertConfig(**settings))
    student = model.distilbert
    for place, layer in enumerate(layers):
        student.transformer.layer[place].load_state_dict(
            teacher.transformer.layer[layer].state_dict()
        )
    parts, former = student.embeddings, teacher.embeddings
    parts.LayerNorm.load_state_dict(former.LayerNorm.state_dict())
    with torch.no_grad():
        parts.position_embeddings.weight.copy_(former.position_embeddings.weight[:POSITIONS])
        for piece, number in own.get_vocab().items():
            parts.word_embeddings.weight[number] = former.word_embeddings.weight[
                known_as(piece, other)
            ].mean(0)
    return model


def known_as(piece: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of a piece in another vocabulary: its own, or those of the pieces that it falls into there."""
    number = tokenizer.token_to_id(piece)
    if number is not None:
        return [number]
    ids: list[int] = tokenizer.encode(piece.removeprefix("##"), add_special_tokens=False).ids
    if not ids:  # a letter that it takes for nothing
        return [tokenizer.token_to_id(UNK)]
    if piece.startswith("##"):
        inside = tokenizer.token_to_id(f"##{tokenizer.id_to_token(ids[0])}")
        ids[0] = ids[0] if inside is None else inside
    return ids


if __name__ == "__main__":
    main()
