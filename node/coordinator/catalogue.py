"""What a node knows of models without loading them: names, limits and defaults, by content.

Is: manifests of the model packages in some folders. A coordinator needs no more, and no torch.
Is not: weights; those are in the inference worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from node.inference.packages import package
from node.inference.packages.package import ModelPackage
from protocol.errors import Refusal


class UnknownModel(Refusal):
    """No package of that name or id is known. :ivar model: what was asked for."""

    def __init__(self, model: str) -> None:
        super().__init__(f"the model {model!r} is not known; GET /v1/models lists those that are served")
        self.model = model


class Catalogue:
    """Model packages by id and by name."""

    def __init__(self, packages: Iterable[ModelPackage]) -> None:
        self._by_id = {item.model_id: item for item in packages}
        self._by_name = {item.name: item for item in self._by_id.values()}

    @classmethod
    def of_folders(cls, folders: Iterable[Path]) -> Catalogue:
        """Catalogue of the package folders in `folders`.

        :raises PackageError: a folder is no package.
        """
        return cls(package.load(folder) for folder in folders)

    def packages(self) -> list[ModelPackage]:
        """All of them, by name."""
        return sorted(self._by_id.values(), key=lambda item: item.name)

    def find(self, model: str) -> ModelPackage:
        """The package of a name, or of a model id in hexadecimal.

        :raises UnknownModel: there is none.
        """
        found = self._by_name.get(model)
        if found is None:
            found = next((item for item in self.packages() if item.model_id.hex() == model), None)
        if found is None:
            raise UnknownModel(model)
        return found

    def get(self, model_id: bytes) -> ModelPackage | None:
        """The package of a 32-byte model id, if it is known."""
        return self._by_id.get(model_id)
