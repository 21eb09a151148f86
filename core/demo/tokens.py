# pyright: basic
"""From text to token ids: the demo model's tokenizer, its training stream, its evaluation windows."""

from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from core.data.corpus import Document

BOS, EOS = "<s>", "</s>"


def train_tokenizer(texts: Iterator[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE: every text can be encoded and decoded back without loss."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer: PreTrainedTokenizerFast, documents: tuple[Document, ...]) -> torch.Tensor:
    """All documents as one stream of token ids, int32 [T], each between begin and end."""
    texts = ["\n\n".join(document.paragraphs) for document in documents]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    return torch.cat([torch.tensor([bos, *one.ids, eos], dtype=torch.int32) for one in encoded])


def windows_of(ids: list[int], length: int) -> torch.Tensor:
    """Consecutive windows [N, length] of token ids; what is left over is dropped."""
    count = len(ids) // length
    return torch.tensor(ids[: count * length], dtype=torch.int64).view(count, length)
