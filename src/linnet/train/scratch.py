"""A small encoder trained from nothing: its vocabulary here, from the training texts; its weights by fine-tuning."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import DistilBertConfig, DistilBertModel

from linnet.config import HEAD_SIZE, ModelConfig
from linnet.train.encoder import Encoder

NAME = "scratch"
ALPHABET_SIZE = 1000
MIN_FREQUENCY = 2
PAD, UNK, CLS, SEP, MASK = SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_encoder(texts: Sequence[str], shape: ModelConfig, directory: Path) -> Encoder:
    """Write a small DistilBERT with random weights and a vocabulary of its own, in Hugging Face layout.

    Args:
        texts: Clean texts of the training split.
        shape: Its layers, width, word pieces, and tokens a text may have.
        directory: Folder to write into; it exists.

    Returns:
        The encoder. Equal texts give an equal vocabulary; the weights are drawn from torch's random state.
    """
    tokenizer = _tokenizer(_vocabulary(texts, shape.vocab_size))
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": shape.max_length, **names}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    config = DistilBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=shape.max_length,
        n_layers=shape.num_hidden_layers,
        dim=shape.hidden_size,
        n_heads=shape.hidden_size // HEAD_SIZE,
        hidden_dim=4 * shape.hidden_size,
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    config.save_pretrained(directory)
    # A model's own save_pretrained writes nothing in any but the first of several processes.
    save_file(DistilBertModel(config).state_dict(), directory / "model.safetensors", metadata={"format": "pt"})
    return Encoder(NAME, directory, "scratch")


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = _word_pieces(vocabulary)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary[CLS]), (SEP, vocabulary[SEP])],
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _word_pieces(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
    """Learn word pieces, the same ones each time.

    The trainer numbers the pieces of one character in the order of a hash map that is seeded anew in each
    process, and breaks ties by those numbers. Given as special tokens, they are numbered beforehand.
    """
    tokenizer = _word_pieces({})
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    counts = Counter({letter: count for letter, count in counts.items() if not letter.isspace()})
    alphabet = sorted(sorted(counts, key=lambda letter: (-counts[letter], letter))[:ALPHABET_SIZE])
    pieces = [piece for letter in alphabet for piece in (letter, f"##{letter}")]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[*SPECIAL, *pieces],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return dict(sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1]))
