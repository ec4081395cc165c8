"""No file and no function grows past the hard limits."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from source_tree import CPP, FOLDERS, files, finish, lines

HEADER_LINES_MAX = 300
SOURCE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 150

# With the house format a definition starts at column 0 or, inside a class, 2, and closes at the same column. Its
# signature may take several lines.
OPENS = re.compile(r"^(?! *//).*\).*\{$")
TYPE = re.compile(r"^ *(class|struct|enum|union|namespace)\b[^()]*\{$")


def signature_start(text: list[str], number: int) -> int:
    while number > 0 and text[number].startswith("   ") and not text[number - 1].rstrip().endswith((";", "{", "}")):
        number -= 1
    return number


def cpp_functions(text: list[str]) -> list[tuple[int, int]]:
    """(first line, number of lines) of each function definition."""
    found = []
    number = 0
    while number < len(text):
        if OPENS.match(text[number]) is None or TYPE.match(text[number]):
            number += 1
            continue
        start = signature_start(text, number)
        closing = " " * (len(text[start]) - len(text[start].lstrip())) + "}"
        end = next((at for at in range(number + 1, len(text)) if text[at].startswith(closing)), number)
        found.append((start + 1, end - start + 1))
        number = end + 1
    return found


def python_functions(source: str) -> list[tuple[int, int]]:
    return [(node.lineno, node.end_lineno - node.lineno + 1) for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def check_file(name: Path) -> list[str]:
    text = lines(name)
    most = HEADER_LINES_MAX if name.suffix == ".h" else SOURCE_LINES_MAX
    faults = [f"{name}: {len(text)} lines; at most {most}"] if len(text) > most else []
    functions = python_functions("\n".join(text)) if name.suffix == ".py" else cpp_functions(text)
    faults += [f"{name}:{first}: a function of {length} lines; at most {FUNCTION_LINES_MAX}"
               for first, length in functions if length > FUNCTION_LINES_MAX]
    faults += [f"{name}:{number}: {len(line)} columns; at most {COLUMNS_MAX}"
               for number, line in enumerate(text, 1) if len(line) > COLUMNS_MAX]
    return faults


def main() -> None:
    sources = [name for name in files(*CPP, ".py") if name.parts[0] in (*FOLDERS, "python", "scripts")]
    finish([fault for name in sources for fault in check_file(name)], f"{len(sources)} source files")


if __name__ == "__main__":
    main()
