"""The error of model packages on this machine."""

from __future__ import annotations

from protocol.errors import LocalError


class PackageError(LocalError):
    """A model package on this machine is broken, altered or not allowed.

    :ivar path: of the file, relative to the package; empty when it is not about one file.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path
