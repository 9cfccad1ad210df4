"""An error as the sentence that a person reads. It knows no command line, job or window."""

from pydantic import ValidationError

EXPECTED = (ValueError, MemoryError, ModuleNotFoundError, OSError)
"""What is raised with a sentence for the user; any other error is a mistake in the program."""


def explain(error: BaseException) -> str:
    """The error's own sentence where it was foreseen, else what it is too."""
    return str(error) if isinstance(error, EXPECTED) else f"{type(error).__name__}: {error}"


def name_fault(error: ValidationError) -> str:
    """Where the first fault of a description lies ("file" where in no field of it), and what it is."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "file"
    return f"{where}: {first['msg']}"
