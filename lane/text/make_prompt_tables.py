"""Writes lane/text's tables of characters as a C++ source, from Python's html.entities and from the installed ftfy.

python lane/text/make_prompt_tables.py OUT.cc

So they are those of the versions in python/constraints.txt, which diffusers cleans prompts with."""

from __future__ import annotations

import re
import re._constants as op
import re._parser
import sys
from collections.abc import Iterable, Iterator
from html.entities import html5
from itertools import product
from pathlib import Path

from ftfy import chardata, fixes
from ftfy.badness import BADNESS_RE

CODE_POINTS = sys.maxunicode + 1
BEGIN = CODE_POINTS  # stands before a text's first character
WORDS = 2  # as in MarkSet
EVERY_CHARACTER = "".join(map(chr, range(CODE_POINTS)))

Ranges = tuple[tuple[int, int], ...]  # first, end


def quoted(text: str) -> str:
    return 'U"' + "".join(f"\\U{ord(one):08x}" for one in text) + '"'


def entities() -> Iterator[str]:
    names = {name: (text, True) for name, text in html5.items()}
    for name, text in chardata.HTML_ENTITIES.items():
        names.setdefault(name[1:], (text, False))
    for name, (text, standard) in sorted(names.items()):
        yield f'{{"{name}", {quoted(text)}, {str(standard).lower()}}}'


def replacements() -> Iterator[str]:
    """What ftfy's steps that look at one character at a time make of it, one after the other."""
    for one in EVERY_CHARACTER:
        text = fixes.uncurl_quotes(fixes.fix_character_width(fixes.fix_latin_ligatures(one)))
        if text != one:
            yield f"{{{ord(one):#x}, {quoted(text)}}}"


def runs(pattern: str) -> Ranges:
    return tuple((match.start(), match.end()) for match in re.finditer(f"(?:{pattern})+", EVERY_CHARACTER, re.DOTALL))


def complement(ranges: Iterable[tuple[int, int]]) -> Ranges:
    inside = [one for first, end in ranges for one in range(first, end)]
    members = set(inside)
    edges = sorted({0, CODE_POINTS, *inside, *(one + 1 for one in inside)})
    return tuple((first, end) for first, end in zip(edges, edges[1:]) if first not in members)


def members_of(items: list) -> Ranges:
    negated, found = False, []
    for kind, value in items:
        if kind is op.NEGATE:
            negated = True
        elif kind is op.LITERAL:
            found.append((value, value + 1))
        elif kind is op.RANGE:
            found.append((value[0], value[1] + 1))
        else:
            found += {op.CATEGORY_WORD: runs(r"\w"), op.CATEGORY_SPACE: runs(r"\s")}[value]
    return complement(found) if negated else tuple(found)


def alternatives_of(kind: object, value: object) -> list[tuple[Ranges, ...]]:
    if kind is op.LITERAL:
        return [(((value, value + 1),),)]
    if kind is op.NOT_LITERAL:
        return [(complement([(value, value + 1)]),)]
    if kind is op.ANY:
        return [(complement([(10, 11)]),)]
    if kind is op.IN:
        return [(members_of(value),)]
    if kind is op.AT and value is op.AT_BEGINNING:
        return [(((BEGIN, BEGIN + 1),),)]
    if kind is op.SUBPATTERN:
        return sequences(value[-1])
    if kind is op.BRANCH:
        return [one for branch in value[1] for one in sequences(branch)]
    if kind is op.MAX_REPEAT and value[1] < 4:
        return [sum(many, ()) for times in range(value[0], value[1] + 1) for many in product(sequences(value[2]), repeat=times)]
    raise SystemExit(f"ftfy's expression for badness has {kind} {value}, which is not known here")


def sequences(parsed: Iterable[tuple[object, object]]) -> list[tuple[Ranges, ...]]:
    """All sequences of character sets that a regular expression without loops matches."""
    return [sum(parts, ()) for parts in product(*(alternatives_of(kind, value) for kind, value in parsed))]


def marks(bits: Iterable[int]) -> str:
    number = sum(1 << bit for bit in bits)
    return "{" + ", ".join(f"{number >> 64 * word & (1 << 64) - 1:#x}U" for word in range(WORDS)) + "}"


def misdecoded() -> tuple[list[str], str, str]:
    """Each place in each sequence is a mark. (spans of characters with their marks, marks that begin, marks that end)."""
    every = sorted(set(sequences(re._parser.parse(BADNESS_RE.pattern, BADNESS_RE.flags))))
    places = [place for sequence in every for place in sequence]
    if len(places) > 64 * WORDS:
        raise SystemExit(f"{len(places)} marks: MarkSet has {64 * WORDS}")
    ends = [sum(map(len, every[: at + 1])) - 1 for at in range(len(every))]
    starts = [end - len(sequence) + 1 for end, sequence in zip(ends, every)]
    changes: dict[int, list[int]] = {0: [], BEGIN + 1: []}
    for mark, place in enumerate(places):
        for first, end in place:
            changes.setdefault(first, []).append(mark)
            changes.setdefault(end, []).append(mark)
    spans, open_spans = [], [0] * len(places)
    for first in sorted(changes):
        for mark, place in enumerate(places):
            if mark in changes[first]:
                open_spans[mark] = any(begin <= first < end for begin, end in place)
        spans.append(f"{{{first:#x}, {marks(mark for mark, inside in enumerate(open_spans) if inside)}}}")
    return spans, marks(starts), marks(ends)


def table(name: str, kind: str, rows: Iterable[str]) -> str:
    lines = ",\n".join(rows)
    return f"namespace {{\nconstexpr {kind} k{name.title()}[] = {{\n{lines}}};\n}}\nstd::span<const {kind}> {name}() {{ return k{name.title()}; }}\n"


def main() -> None:
    spans, starts, ends = misdecoded()
    parts = [f"// Made by lane/text/{Path(__file__).name}.", '#include "lane/text/prompt_tables.h"', "namespace kiln::lane {",
             table("entities", "Entity", entities()), table("replacements", "Replacement", replacements()),
             table("spans", "MarkedSpan", spans), f"const MarkSet kBeginningMarks{starts};", f"const MarkSet kEndingMarks{ends};",
             "}  // namespace kiln::lane\n"]  # fmt: skip
    Path(sys.argv[1]).write_text("\n".join(parts))


if __name__ == "__main__":
    main()
