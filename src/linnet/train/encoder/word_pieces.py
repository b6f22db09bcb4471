"""Vocabularies of word pieces (Schuster and Nakajima 2012), and their tokenizers."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

MIN_FREQUENCY = 2
PAD, UNK, CLS, SEP, MASK = SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def learn_tokenizer(texts: Sequence[str], vocabulary_size: int, alphabet_size: int) -> Tokenizer:
    """A tokenizer that splits words as BERT's uncased one does, with pieces of these texts.

    Args:
        texts: Clean texts.
        vocabulary_size: Pieces at most, the special ones included.
        alphabet_size: Letters at most, the most frequent ones; a word with another is unknown.

    Returns:
        The tokenizer. Equal texts give an equal one.
    """
    vocabulary = _vocabulary(texts, vocabulary_size, alphabet_size)
    tokenizer = _word_pieces(vocabulary)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary[CLS]), (SEP, vocabulary[SEP])],
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, max_length: int, directory: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, which `transformers` reads.

    Args:
        tokenizer: What `learn_tokenizer` gave.
        max_length: Tokens a text may have.
        directory: Folder to write into; it exists.
    """
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        **names,
    }
    (directory / "tokenizer_config.json").write_text(
        json.dumps(settings, indent=2), encoding="utf-8"
    )


def _word_pieces(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _vocabulary(texts: Sequence[str], size: int, alphabet_size: int) -> dict[str, int]:
    """Learn word pieces, the same ones each time.

    The trainer numbers the pieces of one character in the order of a hash map that is seeded again
    in each process, and breaks ties by those numbers. Given as special tokens, they are numbered
    beforehand.
    """
    tokenizer = _word_pieces({})
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    counts = Counter({letter: count for letter, count in counts.items() if not letter.isspace()})
    alphabet = sorted(sorted(counts, key=lambda letter: (-counts[letter], letter))[:alphabet_size])
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
    return dict(
        sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    )
