"""Training sets: the spine's rows with their features."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from . import _html, _native
from ._errors import InvalidError
from ._leakage import Leakage
from ._rows import Rows
from ._selection import Selection
from ._split import Split, by_keys, by_time, check_shares, quantiles
from ._time import Moment, to_micros

if TYPE_CHECKING:
    from .aio import TrainingSetTwin


class TrainingSet(Rows):
    """The rows of a spine, each with the features known at its own moment.

    Columns are the spine's own, then the features in the order of the request.
    Rows are the spine's, each exactly once and in the same order. A feature is
    null where no fact answered; :meth:`report` counts why.

    It is lazy, and reads its sources once. The first ``to_*`` call runs it and
    keeps the rows, so that further calls of any kind cost no second run. Read
    as an Arrow stream instead (``pyarrow.RecordBatchReader.from_stream(ts)``,
    DuckDB, ...), it hands rows on without keeping them, once; after that every
    call raises :class:`~hitherto.InvalidError`.

    Use it in the process that made it, from one thread at a time.
    """

    __slots__ = ("_native", "_select", "_selection", "timestamp", "timezone")

    timestamp: str
    """The spine's column of times."""

    timezone: str | None
    """Whose local times these are if they are naive; None is UTC's."""

    def __init__(
        self,
        native: _native.TrainingSet,
        timestamp: str,
        timezone: str | None,
        select: Callable[[], Selection],
    ) -> None:
        self._native = native
        self.timestamp = timestamp
        self.timezone = timezone
        self._select = select
        self._selection: Selection | None = None

    @property
    def column_names(self) -> list[str]:
        """Names of all columns, in order. Runs nothing."""
        return self._native.column_names

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that are features: the last ones. Runs nothing;
        asks the store once which features there are.

        Raises:
            ConflictError: other definitions were applied in the meantime.
        """
        return self._selected().columns(self.column_names)

    def _selected(self) -> Selection:
        if self._selection is None:
            self._selection = self._select()
        return self._selection

    def _keep(self) -> None:
        self._native.collect()

    def _failure(self) -> BaseException | None:
        return self._native.failure

    def split(
        self,
        by: str | Sequence[str] = "entity",
        *,
        train: float = 0.8,
        validation: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        at: tuple[Moment, Moment] | None = None,
    ) -> Split:
        """Cuts the rows in three parts; runs nothing unless it must.

        Args:
            by: ``"entity"``: by a hash of the join keys, so that no entity is in
                two parts and an entity stays where it is when rows are added;
                where features are joined on several entities, name the one that
                must not be in two parts. ``"time"``: the earliest rows train,
                the latest test, and no moment is in two parts. Or the names of
                columns whose values must not be in two parts.
            train, validation, test: shares, which make 1 together: of the
                entities, or of the rows.
            seed: another one assigns entities otherwise.
            at: for ``by="time"`` the moments at which validation and test
                begin, instead of shares. Without it the rows are read and kept
                to find them.

        Raises:
            InvalidError: the shares do not make 1; there is no such column, or
                several entities and none is named.
        """
        shares = (train, validation, test)
        check_shares(shares)
        if by == "time":
            if at is None:
                times = self.to_arrow().column(self.timestamp)
                first, second = quantiles(times, shares, self.timezone)
                return Split(self, by_time(self.timestamp, [first, second], self.timezone))
            first, second = (to_micros(moment) for moment in at)
            if first is None or second is None or first > second:
                raise InvalidError("at is when validation begins, then when test begins")
            return Split(self, by_time(self.timestamp, [first, second], self.timezone))
        if at is not None:
            raise InvalidError('at is for split(by="time", at=...)')
        return Split(self, by_keys(self._split_columns(by), shares, seed))

    def _split_columns(self, by: str | Sequence[str]) -> Sequence[str]:
        names = by
        if isinstance(by, str):
            found = [keys for entity, keys in self._selected().entities if by in ("entity", entity)]
            if len(found) > 1:
                said = " or ".join(f"by={list(keys)}" for keys in found)
                raise InvalidError(
                    f"features are joined on {len(found)} entities; say which must not be in two "
                    f"parts: {said}"
                )
            names = found[0] if found else [by]
        missing = [name for name in names if name not in self.column_names]
        if missing or not names:
            raise InvalidError(
                f"there is no entity and no column {missing[0] if missing else by!r} to split by; "
                f"there are {', '.join(self.column_names)}"
            )
        return list(names)

    def explain(self, analyze: bool = False) -> str:
        """The physical plan as text, a line for each operator, indented; of a server's
        training set the server's.

        Args:
            analyze: after the run, with what every operator measured: rows, time,
                passes over the facts. It runs, and keeps the rows, if it has not
                been read; otherwise the plan alone, and nothing runs.

        Raises:
            InvalidError: the rows are being read.
        """
        return self._native.explain(analyze)

    def report(self) -> dict[str, Any]:
        """What the run found, complete once it has been read to its end.

        ``rows``: rows of the spine. ``leaky_rows``: those in which at least one
        view would have shown a value before it was known, had it been joined
        on event time alone, or did show it. ``views``: for each view its name
        (``view``), whether known time counts (``known``: ``honor`` or ``ignore``;
        where it is ignored the leaks are in the rows), ``facts`` read, rows
        ``present``, rows ``absent`` by reason, ``leaks``,
        ``age`` of the facts that answer (``p50_micros``, ``p95_micros``,
        ``max_micros``; None without one), and for each feature the rows in which
        it is null (``nulls``). ``warnings``: what may not be meant, such as times
        without a zone, a sentence each.

        Raises:
            InvalidError: it has not been read to its end.
        """
        report: dict[str, Any] = json.loads(self._native.report())
        return report

    def leakage(self) -> Leakage:
        """Of the report, what a join on event time alone would have leaked, and what
        leaked where known times are ignored.

        Raises:
            InvalidError: it has not been read to its end.
        """
        return Leakage(self.report())

    def check(
        self,
        *,
        max_null_rate: float | None = None,
        max_leak_rate: float | None = None,
        max_age: timedelta | None = None,
    ) -> None:
        """Raises when the report is beyond a bound; for pipelines.

        Args:
            max_null_rate: share of rows, from 0 to 1, in which any one feature
                may be null.
            max_leak_rate: share of rows that a join on event time alone may leak
                into, in any one view.
            max_age: what 19 of 20 facts of any one view may not be older than.

        Raises:
            InvalidError: a line for everything beyond its bound; or it has not
                been read to its end.
        """
        micros = None if max_age is None else max_age // timedelta(microseconds=1)
        self._native.check(max_null_rate, max_leak_rate, micros)

    @property
    def manifest(self) -> dict[str, Any]:
        """The record of what the rows are made of, to be kept with a model.

        The request, the features as they were found, a hash of every view's
        definition, every source file with size and fingerprint, spine and rows
        each with their number and content hash. Reads source files that no
        online copy has consumed as they are. ``hitherto training-set --check``
        builds the rows again and compares.

        Raises:
            InvalidError: it has not been read to its end.
            ConflictError: a source file changed while the rows were built.
        """
        manifest: dict[str, Any] = json.loads(self._native.manifest())
        return manifest

    @property
    def content_hash(self) -> str:
        """A hash of all rows and columns, the same for the same rows however
        they were built. Not cryptographic: it finds accidents, not forgery.

        Raises:
            As :attr:`manifest`.
        """
        content: str = self.manifest["content"]["hash"]
        return content

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Record batches of at most 8,192 rows, in the spine's order."""
        return self._native.__arrow_c_stream__(requested_schema)

    @property
    def aio(self) -> TrainingSetTwin:
        """What blocks, for ``async`` code: ``await training_set.aio.to_pandas()``."""
        from .aio import TrainingSetTwin

        return TrainingSetTwin(self)

    def __reduce__(self) -> NoReturn:
        raise InvalidError(
            "a training set stays in the process that made it; send the store and the spine, or "
            "the rows of to_arrow()"
        )

    def __repr__(self) -> str:
        return f"<hitherto.TrainingSet: {self._state()}, {len(self.column_names)} columns>"

    def _state(self) -> str:
        rows = self._native.rows
        return "not collected" if rows is None else f"{rows} rows"

    def _repr_html_(self) -> str:
        """For notebooks: state and schema. Runs nothing."""
        try:
            columns = [(field.name, field.type) for field in self.schema]
        except ImportError:
            columns = [(name, "") for name in self.column_names]
        return _html.block(
            f"Training set: {self._state()}, {len(columns)} columns",
            _html.table(("column", "type"), columns),
        )
