"""The tokenizer's model, in sentencepiece's own format. It is taken as it is."""

from __future__ import annotations

from ..failure import refused

TOKENIZER_BYTES_MAX = 64 << 20


def check_tokenizer(where: str, data: bytes, vocabulary: int) -> None:
    import sentencepiece

    if len(data) > TOKENIZER_BYTES_MAX:
        raise refused(where, f"{len(data)} bytes, which no tokenizer has")
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(data)
    except Exception:
        raise refused(where, "no tokenizer of sentencepiece; fetch it again") from None
    if not 0 < processor.GetPieceSize() <= vocabulary:
        raise refused(where, f"has {processor.GetPieceSize()} pieces, and the text encoder knows {vocabulary}")
