"""Cleans hard prompts as WanPipeline does, with diffusers' prompt_clean and ftfy: a table, every kind of character, and
strings put together by chance from a seed.

python tests/lane/text/make_prompts.py --out FILE

FILE    {"prompts": [{prompt, clean, unrepaired, bad}]}
        prompt, clean     before and after, UTF-8 with encoded surrogates as hexadecimal digits
        unrepaired        after all of it but ftfy's repair of wrong encodings
        bad               what ftfy.badness.is_bad says of the prompt
FILE appears when it is complete; whoever asks for it at the same time waits."""

from __future__ import annotations

import html
import json
import random
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import ftfy
from diffusers.pipelines.wan.pipeline_wan import prompt_clean, whitespace_clean
from ftfy.badness import is_bad

sys.path.append(str(Path(__file__).resolve().parents[1]))
from made_once import made_once  # noqa: E402

SEED = 20
BY_CHANCE = 16000
PROMPT_CHARS = 400

WORDS = ("A cat", "dog", "bakes", "cake", "café", "naïve", "ÉCOLE", "Straße", "Ångström", "œuvre", "Œuvre", "20°C", "½ cup", "£5", "10 €", "«oui»",
         "¿qué?", "一只猫", "在厨房里", "ねこ", "고양이", "кошка", "Він їсть", "Πάντα ῥεῖ", "قطة", "हिन्दी", "ไทย", "עברית", "Việt Nam", "x²", "™", "×",
         "÷")  # fmt: skip
TABLE = (
    "", " ", "\n\n", "a", "A cat and a dog baking a cake together in a kitchen.", "  two  spaces \t and\na line ", "一只猫和一只狗在厨房里烤蛋糕。",
    "&amp;", "&amp;amp;lt;", "&amp;amp;amp;amp;lt;b&gt;", "&lt;b&gt; & &amp;", "<b>&eacute;</b>", "&eacute; <\n&eacute;", "<\n&EACUTE;",
    "P&EACUTE;REZ", "&NotAName;",
    "&notit;", "&not it", "this&not that", "&notin; &notinx;", "&CounterClockwiseContourIntegral;", "&NotEqualTilde;", "&nbsp;a&nbsp;",
    "&#233;", "&#xe9;", "&#XE9",
    "&#233", "&#233a;", "&#x;", "&#;", "&#", "&", "&&amp;", "&;", "&#59;", "&#x3b;", "&#0;", "&#1;", "&#11;", "&#12;", "&#13;", "&#127;",
    "&#128;", "&#x8d;",
    "&#150;", "&#55357;", "&#xD83D;&#xDCA9;", "&#xFDD0;", "&#xFFFE;", "&#x1FFFF;", "&#x10FFFF;", "&#x110000;", "&#99999999999999999999;",
    "&#x41;&#x301;",
    "&apos;&quot;&copy", "&copy2024", "&AMP;&COPY;&nTILDE;&NTILDE;&SZLIG;", "&" + "a" * 40 + ";", "&amp" * 50, "a&b&c;d", "&lt&gt&amp&quot",
    "＆amp；", "＆ａｍｐ；",
    "“curly” ‘single’ ‚low‘ „low“ ‛x‟ ʼn", "ﬁne ﬂuid ﬀ ﬃ ﬄ ﬅ ﬆ Ĳ ĳ ŉ Ǳ ǲ ǳ Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ", "ＬＯＵＤ　ＮＯＩＳＥＳ", "Ｕﾀｰﾝ ｶﾞ ﾊﾟ ￡ ￦ ﾡ ￭", "㎏ ① ½ Å Ω",
    "\x1b[36;44mblue\x1b[0m", "\x1b[\x1b[31mm", "\x1b[٣١mx", "\x1b[31", "\x1b]0;x\x07", "\x1b[1;31;ｍx", "\x00a\x01\x08\x0b\x0e\x1f\x7fb",
    "\ufeffa\u206ab\ufff9c\ufffcd\ufffde",
    "a\r\nb\rc\u2028d\u2029e\x0bf\x0cg", "\r\r\n\n\r", "\ud83d\udca9", "\udca9\ud83d", "a\ud800b", "\ud83d\ud83d\udca9\udca9", "\udcff\udcc3",
    "e\u0301 a\u0323\u0302 \u0302\u0323a q\u0307\u0323 \u1100\u1161\u11a8 가\u11a8 \u1100\u11a8 \u0958 \u2126 \ufb1d \U0001d15e \u0f73 \u0344",
    "\u202eright to left\u202c \u200f\u061c\u2066x\u2069", "👩🏽\u200d🚀 👨\u200d👩\u200d👧 🏴\U000e0067\U000e0062\U000e007f 🇩🇪 ❤️",
    "zero\u200bwidth soft\u00adhyphen", "\u1680\u2003\u3000a\u205f\u202f",
    "cafÃ©", "Ã©tÃ©", "voilÃ\xa0 le travail", "voilÃ le travail", "â€œquotesâ€\x9d", "itâ€™s", "l’humanitÃ©", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚",
    "РїСЂРёРІРµС‚", "æ—¥æœ¬èªž", "ðŸ˜Š", "it\x92s", "a\x85b",
    "Â©", "Â ", "10 Â°C", "Ã", "Ãx", "à²—", "√±", "вЂ™", "β€™", "ā€", "├®", "&Atilde;&copy;", "&#195;&#169;", "caf&Atilde;&copy;\nplain",
    "plain\ncafÃ©", "<p>cafÃ©", "\ufffd\ufffd", "Ã\ufffd",
    "ＣａｆÃ©", "é”x", "É°", "½É", "naïve “é”s", "¡Ã", "×²", "µÂ", "\udcc3\udca9", "\xa0", "Å", "a Å b", "œ", "œ\n", "Œ!", "x\n" * 40,
    "&amp;\n" * 40, "a" * 3000,
)  # fmt: skip
NAMES = sorted(html.entities.html5)
ENCODINGS = ("latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437")
CONTROLS = "".join(map(chr, [*range(9), 11, 12, *range(14, 32), 127, 0xFEFF, *range(0x206A, 0x2070), *range(0xFFF9, 0xFFFD)]))
SHAPES = "".join(chr(one) for one in range(0xFF01, 0xFFEF)) + "　ﬀﬁﬂﬃﬄﬅﬆĲĳŉǱǲǳǄǅǆǇǈǉǊǋǌ"
BIDI = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\ufe0f\u00ad"
LATIN = "".join(map(chr, range(0xA0, 0x180))) + "ƒˆ˜–—†‡•…‰€™≈√∂∆▒└┴\uf8ff\ufffd"
EMOJI = ("👩🏽\u200d🚀", "🐈\u200d⬛", "🇩🇪", "👍🏿", "🏳️\u200d🌈", "1️⃣", "🎬", "🏴\U000e0067\U000e0062\U000e007f")


def assigned() -> list[str]:
    """Of large and even scripts every thirty-seventh character."""
    known = [chr(one) for one in range(0x110000) if unicodedata.category(chr(one)) not in ("Cn", "Cs", "Co")]
    def is_kept(at: int, one: str) -> bool:
        large = unicodedata.category(one) == "Lo" and ord(one) >= 0x3400 and not 0xF900 <= ord(one) <= 0xFFFF
        return not large or at % 37 == 0

    return [one for at, one in enumerate(known) if is_kept(at, one)]


def every_character(known: list[str]) -> Iterator[str]:
    """Each by itself, before a mark, behind one, and behind a consonant of Hangul."""
    for first in range(0, len(known), PROMPT_CHARS // 8):
        lines = [f"a{one}b {one}\u0301\u0323 \u1100{one}\u11a8 e\u0323{one}" for one in known[first : first + PROMPT_CHARS // 8]]
        yield "\n".join(lines)


def reference(chance: random.Random) -> str:
    name = chance.choice(NAMES)
    number = chance.choice((chance.randrange(0x180), chance.randrange(0x10000), chance.randrange(0x120000)))
    return chance.choice((f"&{name}", f"&{name.rstrip(';')}", f"&{name.upper()}", f"&{name}{chance.choice('ax;1é')}", f"&#{number};",
        f"&#{number}", f"&#x{number:x};",
                          f"&#X{number:X}", f"&#{number}z;", "&amp;" + name, "&amp;amp;" + name, "&amp;#" + str(number) + ";", "&", "&#",
                          "&#x", ";", "&;", "＆" + name))  # fmt: skip


def wrongly_read(chance: random.Random) -> str:
    return chance.choice(WORDS + EMOJI + ("“", "’", "…", "é", "à")).encode().decode(chance.choice(ENCODINGS), chance.choice(("replace", "ignore")))


def some(chance: random.Random, characters: str, most: int) -> str:
    return "".join(chance.choice(characters) for _ in range(chance.randint(1, most)))


def fragment(chance: random.Random, kind: str, known: str, marks: str) -> str:
    return {
        "word": lambda: chance.choice(WORDS),
        "reference": lambda: reference(chance),
        "quotes": lambda: some(chance, "“”‘’„‚‛‟ʼ'\"«»", 3),
        "shapes": lambda: some(chance, SHAPES, 5),
        "controls": lambda: some(chance, CONTROLS, 3),
        "escape": lambda: chance.choice(("\x1b[", "\x1b[1;3" + chance.choice("1٣３"), "\x1b")) + chance.choice(("m", "K", ";", "", "ｍ", "\x1b[0m")),
        "surrogates": lambda: some(chance, "\ud83d\udca9\ud800\udfff\udc80", 3),
        "lines": lambda: some(chance, "\r\n\u2028\u2029\x0b\x0c\t ", 3),
        "bidi": lambda: some(chance, BIDI, 3),
        "emoji": lambda: chance.choice(EMOJI),
        "marks": lambda: chance.choice("aeoAEOuqがハ\u0628\u0915") + some(chance, marks, 5),
        "jamo": lambda: some(chance, "\u1100\u1112\u1161\u1175\u11a8\u11c2가각", 5),
        "tag": lambda: chance.choice(("<b>", "<", "</i>", "&lt;")),
        "any": lambda: some(chance, known, 3),
        "wrong": lambda: wrongly_read(chance),
        "c1": lambda: chr(chance.randint(0x80, 0x9F)),
        "latin": lambda: some(chance, LATIN, 4),
    }[kind]()


def by_chance(known: list[str]) -> Iterator[str]:
    chance = random.Random(SEED)
    characters, marks = "".join(known), "".join(one for one in known if unicodedata.combining(one))
    common = ["word"] * 6 + ["reference"] * 5 + ["quotes", "shapes", "controls", "escape", "surrogates", "lines", "bidi", "emoji", "marks", "jamo"]
    common.append("any")
    for at in range(BY_CHANCE):
        kinds = common + [["tag"], ["wrong"] * 8 + ["c1"], ["latin"] * 5, ["wrong", "latin"], []][at % 5]
        joint = chance.choice(("", " ", "", "\n"))
        yield joint.join(fragment(chance, chance.choice(kinds), characters, marks) for _ in range(chance.randint(1, 10)))


def unrepaired(prompt: str) -> str:
    fixed = ftfy.fix_text(prompt, fix_encoding=False, fix_c1_controls=False)
    return whitespace_clean(html.unescape(html.unescape(fixed)).strip())


def hexadecimal(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").hex()


def make(out: str) -> None:
    known = assigned()
    prompts = [*TABLE, *WORDS, *every_character(known), *by_chance(known)]
    cases = []
    for one in prompts:
        texts = {"prompt": one, "clean": prompt_clean(one), "unrepaired": unrepaired(one)}
        cases.append({"bad": is_bad(one)} | {name: hexadecimal(text) for name, text in texts.items()})
    Path(out).write_text(json.dumps({"prompts": cases}))


if __name__ == "__main__":
    made_once(__doc__, make)
