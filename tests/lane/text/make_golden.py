"""Trains a small sentencepiece model with UMT5's settings, and tokenizes hard texts with it: by sentencepiece, and by
transformers' T5Tokenizer as diffusers calls it.

python tests/lane/text/make_golden.py --out DIR

DIR/spiece.model
DIR/cases.json     {"texts": [{text, length, bytes, transformers, used}], "prompts": [{prompt, clean, bytes, tokens, used}]}
                   of a prompt: WanPipeline's tokens as its text encoder is given them, and sentencepiece's of the clean text
DIR appears when it is complete; whoever asks for it at the same time waits."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import torch
from diffusers import WanPipeline
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

sys.path.append(str(Path(__file__).resolve().parents[1]))
from made_once import made_once  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
CHINESE = "一只猫和一只狗在厨房里烤蛋糕。阳光透过窗户照进来，镜头缓慢推进，画面清晰，色彩鲜艳，细节丰富。"
WORDS = ("A cat and a dog bake a cake together in a cozy kitchen while sunlight streams through the window. "
         "Café, naïve, Ångström, Straße; ÜBER 1234567890, 3.14159! Кошка и собака. ねこといぬ。고양이와 개. قطة وكلب")  # fmt: skip
TEXTS = (
    "", "a", "A cat and a dog baking a cake together in a kitchen.", CHINESE, f"mixed 混合 text {CHINESE[:9]}", "猫", "ねこといぬ",
    "emoji 🎬🐈\u200d⬛ and 👩🏽\u200d🚀 flags 🇩🇪", "🎥", "rare 𓀀𒀱 ꙮ",
    "control \x00\x01\x08\x1b\x7f\x80\x9f characters", "zero\u200bwidth\u200d soft\u00adhyphen \ufeff",
    "tab\tnew\nline\r\nform\x0cfeed\x0bend", " leading", "trailing ", "two  spaces   three", "\u3000ideographic\u3000space ", "ﬁne ﬂuid ① ½ ㎏ Ｆｕｌｌ",
    "é as e\u0301, ü as u\u0308", "1234567890 3.14159 0x7f", "UPPER lower MiXeD", "<b>tag</b> & &amp; &lt;", "▁underline▁ ▁",
    "'quotes' “curly” «angled»",
    "قطة وكلب في المطبخ", "Кошка и собака пекут торт", "고양이와 개", "x" * 300, "a " * 600, CHINESE * 20, "🎬" * 200, "-_-;:,.!?()[]{}|\\/@#$%^&*+=~`",
)  # fmt: skip
LENGTHS = (512, 16, 1)
# To be cleaned first; nothing in them is mended as wrongly encoded.
PROMPTS = (
    "", " \n ", "  A cat\tand a dog\r\nbake a cake  ", "“A cat” &amp;amp; ‘a dog’ &lt;b&gt;bake&lt;/b&gt; ﬁne cakes", "Ａ　ｃａｔ ﾈｺ",
    f"{CHINESE}\n\n{CHINESE}", "cafe\u0301 ÅA\u030a 고양이 \u1100\u1161", "\x1b[1mbold\x1b[0m \ufeff\x00 &#x1F3AC; 🐈\u200d⬛ &hearts;",
    "<b>&eacute;</b> &copy2024 &notit;",
    "A cat and a dog bake a cake. " * 80, "&lt;b&gt; ▁ 7" * 60,
)  # fmt: skip


def train() -> bytes:
    """As UMT5's was, but for size: unigrams, bytes for what has no piece, digits one by one; pad, end, start, unknown first."""
    lines = [line.strip() for line in (ROOT / "LICENSE").read_text().splitlines() if line.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines + [CHINESE, WORDS] * 20), model_writer=model, model_type="unigram", vocab_size=1200,
        hard_vocab_limit=False, byte_fallback=True, split_digits=True, character_coverage=0.9995, normalization_rule_name="nmt_nfkc",
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", num_threads=1, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def length_delimited(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of a protobuf message's fields that are messages or bytes. transformers would want all of protobuf."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            varint()
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        if kind == 2:
            yield number, message[at : at + size]
        at += size


def t5_tokenizer(model: bytes, pieces: sentencepiece.SentencePieceProcessor) -> T5Tokenizer:
    normalizer = next(content for number, content in length_delimited(model) if number == 3)
    character_map = next(content for number, content in length_delimited(normalizer) if number == 2)
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    return T5Tokenizer(vocab=vocabulary, _spm_precompiled_charsmap=character_map, extra_ids=0)


class PipelinesTokens:
    """Of a WanPipeline with a small UMT5: what its prompts become before the first layer."""

    def __init__(self, tokenizer: T5Tokenizer, vocabulary: int) -> None:
        config = UMT5Config(vocab_size=vocabulary, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        encoder = UMT5EncoderModel(config)
        encoder.register_forward_pre_hook(lambda _, given: self.given.append(given))
        self.given: list[tuple[torch.Tensor, ...]] = []
        self.pipeline = WanPipeline(tokenizer=tokenizer, text_encoder=encoder, vae=None, scheduler=None, transformer=None)

    def __call__(self, prompt: str) -> tuple[list[int], int]:
        self.pipeline.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=512, device=torch.device("cpu"))
        ids, mask = self.given.pop()
        return ids[0].tolist(), int(mask[0].sum())


def prompts(tokenizer: T5Tokenizer, pieces: sentencepiece.SentencePieceProcessor) -> Iterator[dict]:
    tokens = PipelinesTokens(tokenizer, pieces.get_piece_size())
    for prompt in PROMPTS:
        clean = prompt_clean(prompt)
        ids, used = tokens(prompt)
        kept = [*pieces.encode(clean)[:511], pieces.eos_id()]
        yield {"prompt": prompt, "clean": clean, "bytes": kept + [pieces.pad_id()] * (512 - len(kept)), "tokens": ids, "used": used}


def make(out: str) -> None:
    model = train()
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = t5_tokenizer(model, pieces)
    cases = []
    for text, length in itertools.product(TEXTS, LENGTHS):
        said = tokenizer(text, padding="max_length", max_length=length, truncation=True, add_special_tokens=True)
        kept = [*pieces.encode(text)[: length - 1], pieces.eos_id()]
        cases.append({"text": text, "length": length, "bytes": kept + [pieces.pad_id()] * (length - len(kept)),
                      "transformers": said["input_ids"], "used": sum(said["attention_mask"])})  # fmt: skip
    os.makedirs(out)
    Path(out, "spiece.model").write_bytes(model)
    Path(out, "cases.json").write_text(json.dumps({"texts": cases, "prompts": list(prompts(tokenizer, pieces))}))


if __name__ == "__main__":
    made_once(__doc__, make)
