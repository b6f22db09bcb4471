"""A small encoder trained from nothing:

its vocabulary here, from the training texts; its weights by fine-tuning.
"""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from transformers import DistilBertConfig, DistilBertModel

from linnet.config import HEAD_SIZE, ModelConfig
from linnet.train.encoder.find import Encoder
from linnet.train.encoder.word_pieces import PAD, learn_tokenizer, save_tokenizer

NAME = "scratch"
ALPHABET_SIZE = 1000


def make_encoder(texts: Sequence[str], shape: ModelConfig, directory: Path) -> Encoder:
    """Write a small DistilBERT with random weights and its own vocabulary.

    The folder has Hugging Face layout.

    Args:
        texts: Clean texts of the training split.
        shape: Its layers, width, word pieces, and tokens a text may have.
        directory: Folder to write into; it exists.

    Returns:
        The encoder. Equal texts give an equal vocabulary; the weights are drawn from torch's random
        state.
    """
    tokenizer = learn_tokenizer(texts, shape.vocab_size, ALPHABET_SIZE)
    save_tokenizer(tokenizer, shape.max_length, directory)
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
    save_file(
        DistilBertModel(config).state_dict(),
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    return Encoder(NAME, directory, "scratch")
