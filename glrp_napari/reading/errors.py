"""The one error of everything that reads files, so that callers can show it to a person as it is.

It must not know any format.
"""

from pathlib import Path


class ReadError(ValueError):
    """A file that cannot be read rightly: which one, what was found in it and what was expected instead.

    Only the file's own name is shown, not the folders above it: these may carry a patient's name.
    """

    def __init__(self, file: Path | str, found: str, expected: str) -> None:
        super().__init__(file, found, expected)
        self.file = Path(file)
        self.found = " ".join(found.split())
        self.expected = " ".join(expected.split())

    def __str__(self) -> str:
        name = self.file.name or str(self.file)
        shown = f"{self.file.absolute().parent.name}/{name}" if name.lower() == "dicom" else name
        return f"{shown}: found {self.found}, expected {self.expected}"
