"""The one kind of error that this program reports: one line for a person, and an exit code."""

INPUT_REFUSED = 65  # unreadable, unknown, untrusted or unsuitable
INPUT_MISSING = 66
OUTPUT_UNWRITABLE = 73  # exists already, or cannot be written
IO_ERROR = 74  # disk full, read or write error


class ImportFailure(Exception):
    """What went wrong, where, and what to do, in one line."""

    def __init__(self, exit_code: int, message: str):
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


def refused(where: object, why: str) -> ImportFailure:
    return ImportFailure(INPUT_REFUSED, f"{where}: {why}")


def missing(where: object, why: str) -> ImportFailure:
    return ImportFailure(INPUT_MISSING, f"{where}: {why}")


MESSAGE_CHARACTERS_MAX = 300


def first_line(error: BaseException) -> str:
    """The first line of another library's message, short enough to stand inside one of ours."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return line[:MESSAGE_CHARACTERS_MAX]
