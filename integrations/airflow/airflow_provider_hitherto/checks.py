"""Tasks that ask whether features are right and fresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, BaseSensorOperator
from hitherto import Error, steps

from .hook import HithertoHook
from .job import failure
from .triggers import VerifyTrigger


class HithertoVerifyOperator(BaseOperator):
    """Fails unless lookups and training sets give the same values, bit for bit, of `samples`
    facts of each of `views`, all if none is named."""

    template_fields = ("conn_id", "views")

    def __init__(
        self, *, views: Sequence[str] = (), samples: int = 1000, seed: int = 0,
        conn_id: str = HithertoHook.default_conn_name, deferrable: bool = True,
        deadline: timedelta = timedelta(minutes=10), **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.views, self.samples, self.seed = list(views), samples, seed
        self.conn_id, self.deferrable, self.deadline = conn_id, deferrable, deadline

    def execute(self, context: Any) -> Any:
        asked = {"views": self.views, "samples": self.samples, "seed": self.seed}
        if self.deferrable:
            seconds = self.deadline.total_seconds()
            trigger = VerifyTrigger(conn_id=self.conn_id, seconds=seconds, asked=asked)
            self.defer(trigger=trigger, method_name="finish")
        with HithertoHook(self.conn_id).store() as store:
            try:
                found = steps.verify(store, deadline=self.deadline, **asked)
            except Error as error:
                raise failure(error.kind, str(error)) from error
        return self.finish(context, {"result": found})

    def finish(self, context: Any, event: dict[str, Any]) -> Any:
        """How many values were compared."""
        if "error" in event:
            raise failure(event["kind"], event["error"])
        return {"values": event["result"]["values"]}


class HithertoFreshnessSensor(BaseSensorOperator):
    """Waits until the newest fact of `view` that lookups see is not older than `max_age`, such
    as `6h`, or what the view's tag `freshness` says."""

    template_fields = ("conn_id", "view")

    def __init__(
        self, *, view: str, max_age: str | None = None,
        conn_id: str = HithertoHook.default_conn_name, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.view, self.max_age, self.conn_id = view, max_age, conn_id

    def poke(self, context: Any) -> bool:
        with HithertoHook(self.conn_id).store() as store:
            try:
                found = steps.freshness(store, self.view, self.max_age)
            except Error as error:
                raise failure(error.kind, str(error)) from error
        self.log.info("%s", found)
        return found.is_fresh
