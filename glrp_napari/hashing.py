"""SHA-256 of files and bytes, by which weights, labels and autosaved masks are checked."""

import hashlib
from pathlib import Path


def hash_bytes(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 in hex. Raises OSError for a file that cannot be read."""
    return hash_bytes(path.read_bytes())
