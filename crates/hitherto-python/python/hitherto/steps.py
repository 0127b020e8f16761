"""Steps of a pipeline: what a scheduler has a store do, within a time, and an error where
the step must fail.

    hitherto.steps.materialize(store, ["labs"], deadline="1h")
    hitherto.steps.verify(store, ["labs"])
    hitherto.steps.freshness(store, "labs", max_age="6h").require()

Adapters for Airflow, Dagster and Kubeflow are these with a scheduler's words around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import Any, TypeVar

from ._errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from ._selection import views_of
from ._store import Store
from ._time import Duration, Time, format_duration, show_time, to_timedelta, to_watermark

__all__ = ["TAG", "Freshness", "freshness", "materialize", "refuse", "verify"]

TAG = "freshness"
"""The tag of a feature view that says how old its newest fact may be, such as ``6h``."""

CANCEL_SECONDS = 5
"""How long it may take that a server hears that a job is to end."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Freshness:
    """How old the newest fact is that lookups of a view can see."""

    view: str
    watermark: Time | None
    """The greatest event time that the online copy has consumed, of what had happened; None
    if it has no fact."""
    age: timedelta
    """By the clock of the store; the longest there is without a fact."""
    max_age: timedelta

    @property
    def is_fresh(self) -> bool:
        """Whether it is not older than it may be."""
        return self.age <= self.max_age

    def __str__(self) -> str:
        age, allowed = (
            format_duration(timedelta(seconds=max(0, round(each.total_seconds()))))
            for each in (self.age, self.max_age)
        )
        if self.watermark is None:
            return f"feature view {self.view!r} has no fact; {allowed} of age are allowed"
        return (
            f"the newest fact of feature view {self.view!r} is of {show_time(self.watermark)}, "
            f"{age} ago; {allowed} are allowed"
        )

    def require(self) -> Freshness:
        """Itself, if it is fresh.

        Raises:
            UnavailableError: it is not; how old it is and what to do.
        """
        if not self.is_fresh:
            raise UnavailableError(
                f"{self}; look whether its source has newer facts, then materialize it"
            )
        return self


def freshness(store: Store, view: str, max_age: Duration | None = None) -> Freshness:
    """How old a view is. Reads the catalog and makes a lookup of no entities.

    Args:
        store: where the view is online.
        view: its name.
        max_age: how old it may be; what its tag ``freshness`` says if left out.

    Raises:
        NotFoundError: no such view.
        InvalidError: neither ``max_age`` nor a tag says how old it may be, or it is timeless.
        UnavailableError: nothing of it is online.
    """
    found = views_of(store.catalog()).get(view)
    if found is None:
        raise NotFoundError(
            f"there is no feature view {view!r}; apply its definition, or name another"
        )
    definition = found["definition"]
    allowed = definition["metadata"]["tags"].get(TAG) if max_age is None else max_age
    if allowed is None:
        raise InvalidError(
            f"nothing says how old feature view {view!r} may be; give max_age, or its definition "
            f"the tag {TAG}, such as tags: {{ {TAG}: 6h }}"
        )
    if not definition["source"].get("event_time"):
        raise InvalidError(
            f"feature view {view!r} is timeless, so it has no age; ask about another, or take its "
            f"tag {TAG} away"
        )
    # The store's own clock, and a proof that lookups are answered.
    none: dict[str, list[Any]] = {key["name"]: [] for key in found["keys"]}
    now = store.lookup(none, [f"{view}:*"])._native.at
    micros = found["generation"]["watermark"]
    watermark = to_watermark(micros)
    age = timedelta.max if watermark is None else timedelta(microseconds=now - micros)
    return Freshness(view, watermark, age, to_timedelta(allowed))


def materialize(
    store: Store,
    views: Sequence[str] | None = None,
    *,
    full: bool = False,
    force: bool = False,
    deadline: Duration = "1h",
) -> list[dict[str, Any]]:
    """As :meth:`hitherto.Store.materialize`, within a time.

    Raises:
        UnavailableError: it did not end by ``deadline``; a server's job was cancelled, and
            nothing that was not done is visible.
        As :meth:`hitherto.Store.materialize`.
    """
    seconds = to_timedelta(deadline).total_seconds()
    late = UnavailableError(
        f"the materialization did not end within {format_duration(to_timedelta(deadline))}, the "
        "deadline, and was cancelled; give it more time (deadline=), or fewer views"
    )

    stop = Event()

    def watch(view: str, rows: int, rows_total: int) -> None:
        if stop.is_set():
            raise late

    return _within(
        lambda: store.materialize(views, full, force=force, progress=watch), seconds, late, stop
    )


def verify(
    store: Store, views: Sequence[str] | None = None, *, samples: int = 1000, seed: int = 0,
    deadline: Duration = "10m",
) -> dict[str, Any]:  # fmt: skip
    """As :meth:`hitherto.Store.verify`, within a time, and anything but equality is an error.

    Raises:
        ConflictError: lookups and training sets differ, or files that the online copy has
            consumed have changed.
        UnavailableError: nothing of a view is online, or there was no answer by ``deadline``.
        As :meth:`hitherto.Store.verify`.
    """
    late = UnavailableError(
        f"the verification did not end within {format_duration(to_timedelta(deadline))}, the "
        "deadline; give it more time (deadline=), or draw fewer samples"
    )
    seconds = to_timedelta(deadline).total_seconds()
    found = _within(lambda: store.verify(views, samples, seed), seconds, late)
    refuse(found)
    return found


def refuse(verified: dict[str, Any]) -> None:
    """Raises what a verification has found, if it is no equality.

    Raises:
        As :func:`verify`.
    """
    for view in verified["views"]:
        name = view["view"]
        if view["outcome"] == "skipped":
            raise UnavailableError(f"nothing of feature view {name!r} is online; materialize it")
        if view["outcome"] == "stale":
            raise ConflictError(
                f"feature view {name!r} is stale: {view['reason']}; materialize it, then verify "
                "again"
            )
        if view["differences"]:
            one = view["first"][0]
            raise ConflictError(
                f"feature view {name!r}: {view['differences']} of {view['values']} values differ; "
                f"the first is of {one['feature']} as of {show_time(to_time(one['at']))}; "
                "materialize it with full, and report what remains"
            )


def _within(
    call: Callable[[], Result], seconds: float, late: UnavailableError, stop: Event | None = None
) -> Result:
    """What ``call`` gives, if it does so in time. It runs on a thread that no process waits
    for; whoever does not wait any more tells it to ``stop``, and gives it a moment to."""
    answer: Future[Result] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True, name="hitherto-step").start()
    try:
        return answer.result(seconds)
    except BaseException as error:
        if stop is not None and not answer.done():
            stop.set()
            wait([answer], CANCEL_SECONDS)
        if isinstance(error, NoAnswer):
            raise late from error
        raise
