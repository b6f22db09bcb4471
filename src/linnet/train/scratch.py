"""A small encoder trained from nothing: its vocabulary here, from the training texts; its weights by fine-tuning."""

from collections.abc import Sequence
from pathlib import Path

from transformers import DistilBertConfig, DistilBertModel

from linnet.train.encoder import Encoder, quiet
from linnet.train.word_pieces import PAD, learn_tokenizer, save_tokenizer

NAME = "scratch"
VOCABULARY_SIZE = 8192
ALPHABET_SIZE = 1000
LAYERS, DIM, HEADS = 2, 128, 4


def make_encoder(texts: Sequence[str], max_length: int, directory: Path) -> Encoder:
    """Write a small DistilBERT with random weights and a vocabulary of its own, in Hugging Face layout.

    Args:
        texts: Clean texts of the training split.
        max_length: Tokens a text may have.
        directory: Folder to write into; it exists.

    Returns:
        The encoder. Equal texts give an equal vocabulary; the weights are drawn from torch's random state.
    """
    tokenizer = learn_tokenizer(texts, VOCABULARY_SIZE, ALPHABET_SIZE)
    save_tokenizer(tokenizer, max_length, directory)
    config = DistilBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=max_length,
        n_layers=LAYERS,
        dim=DIM,
        n_heads=HEADS,
        hidden_dim=4 * DIM,
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    with quiet():
        DistilBertModel(config).save_pretrained(directory)
    return Encoder(NAME, directory, "scratch")
