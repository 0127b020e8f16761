"""Tasks that let a server work, each by a job that goes on without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .job import JobOperator


class HithertoMaterializeOperator(JobOperator):
    """Brings the sources of `views`, all if none is named, into the online store."""

    template_fields = ("conn_id", "views")

    def __init__(
        self, *, views: Sequence[str] = (), full: bool = False, force: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.views, self.full, self.force = list(views), full, force

    def work(self) -> dict[str, Any]:
        return {"materialize": {"views": self.views, "full": self.full, "force": self.force}}


class HithertoBackupOperator(JobOperator):
    """Copies the store to `folder`, a name in the server's own folder for backups."""

    template_fields = ("conn_id", "folder")

    def __init__(self, *, folder: str, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder

    def work(self) -> dict[str, Any]:
        return {"backup": {"folder": self.folder}}
