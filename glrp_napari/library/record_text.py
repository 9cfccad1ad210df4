"""The library's JSON files as plain values, read with distrust: they may come from anywhere.

It must not know what the values mean.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

_LARGEST_BYTES = 1_000_000


class LibraryError(ValueError):
    """A label cannot be stored or read; says which file, what was found and what was expected."""


def check_inside(folder: Path, path: Path) -> None:
    """Raise LibraryError for a symbolic link that leads out of the library's folder."""
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise LibraryError(f"{path.name}: found a link out of the library, expected a file in it")


def parse_object(path: Path) -> dict[str, Any]:
    """The one JSON object in a file.

    Raises LibraryError for a link out of the file's folder, and for text that is not JSON, too long, says a key twice
    or holds a number that JSON has not (NaN).
    """
    check_inside(path.parent, path)
    if path.stat().st_size > _LARGEST_BYTES:
        raise LibraryError(f"{path.name}: found more than {_LARGEST_BYTES} bytes, expected a record")
    try:
        value = json.loads(path.read_bytes(), object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LibraryError(f"{path.name}: found no JSON ({reason}), expected a record") from None
    if not isinstance(value, dict):
        raise LibraryError(f"{path.name}: found a JSON {type(value).__name__}, expected an object")
    return value


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return values


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"the number {text}")
