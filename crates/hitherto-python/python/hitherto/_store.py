"""Stores: the engine in this process, or a client of a server, with one API."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from . import _brought, _frames, _html, _native, _plan, _spine, _views
from ._errors import Error, InvalidError
from ._lookup import Lookup
from ._plan import Plan
from ._progress import Line, Progress, is_watched
from ._selection import resolve
from ._spine import Spine
from ._time import Moment, to_datetime, to_micros
from ._training_set import TrainingSet
from ._why import Why
from .definitions import Definition

if TYPE_CHECKING:
    import pandas
    import polars

    from ._native import Shown
    from .aio import StoreTwin

    Frame = pandas.DataFrame | polars.DataFrame

File = str | os.PathLike[str]
"""A path."""


def connect(
    target: File,
    *,
    read_only: bool = False,
    now: Moment | None = None,
    token: str | None = None,
    ca: File | None = None,
    cert: File | tuple[File, File] | None = None,
) -> Store:
    """Opens a feature store.

    Args:
        target: the path of a repository, whose engine then runs in this
            process, or the URL of a server, ``https://host:port`` or, in plain
            text, ``http://host:port``.
        read_only: open a repository for reading: what was there at opening, and
            beside any process that writes. Means nothing for a server.
        now: stop the clock, for replays: everything happens as if it were this
            time. A server has its own clock.
        token: what a server asks for, if it has a token file. Over plain text it
            is only sent to this machine.
        ca: a PEM file with the CA that signed the server's certificate; the
            system's if left out.
        cert: for a server that asks for one: a PEM file with this client's
            certificate and its key, or a pair of files. Like ``ca`` it is read
            when a process connects.

    A process can connect to one path any number of times and shares the engine.

    Raises:
        NotFoundError: there is no repository, or, for reading, no store in it.
        ConflictError: another process has the repository open for writing.
        UnavailableError: the server cannot be reached.
        InvalidError: the configuration or the URL is wrong, a file is not what it
            should be, or the token could be read on its way.
        DeniedError: the server's certificate is not trusted. Whether it takes
            ``token`` and ``cert`` is known at the first call, which raises this too.
    """
    pair = cert if isinstance(cert, tuple) else None if cert is None else (cert, cert)
    shown = (
        token,
        None if ca is None else os.path.abspath(ca),
        None if pair is None else (os.path.abspath(pair[0]), os.path.abspath(pair[1])),
    )
    store = Store(os.fspath(target), read_only, to_micros(now), shown)
    store._open()
    return store


class Store:
    """An open feature store; made by :func:`connect`.

    A context manager. Safe to share among threads. After ``fork`` the child
    opens its own: a new connection, or the repository for reading only. The
    same goes for a process that a store is sent to (pickled): it is opened
    there when it is first used. What is sent has the token in it.
    """

    __slots__ = ("_now", "_opened", "_read_only", "_shown", "_target")

    def __init__(self, target: str, read_only: bool, now: int | None, shown: Shown) -> None:
        self._target = target
        self._read_only = read_only
        self._now = now
        self._shown = shown
        self._opened: _native.Store | None = None

    def _open(self) -> _native.Store:
        if self._opened is None:
            self._opened = _native.Store(self._target, self._read_only, self._now, self._shown)
        return self._opened

    @property
    def _native(self) -> _native.Store:
        return self._open()

    @property
    def aio(self) -> StoreTwin:
        """Every call that blocks, for ``async`` code: the same names and
        arguments, such as ``await store.aio.lookup(...)``."""
        from .aio import StoreTwin

        return StoreTwin(self)

    def __reduce__(self) -> tuple[type[Store], tuple[str, bool, int | None, Shown]]:
        if self._opened is not None and self._opened.is_closed:
            raise InvalidError("the store is closed; send one that is open")
        target = self._target if "://" in self._target else os.path.abspath(self._target)
        # This process goes on writing, so no other can.
        return Store, (target, True, self._now, self._shown)

    def training_set(
        self,
        spine: Spine | None = None,
        features: Sequence[str] | None = None,
        *,
        service: str | None = None,
        at: Moment | None = None,
        between: tuple[Moment, Moment] | None = None,
        timestamp: str = "event_timestamp",
        timezone: str | None = None,
        known_by: Moment | None = None,
        full_names: bool = False,
        known: Literal["honor", "ignore"] | None = None,
        sample: float | None = None,
    ) -> TrainingSet:
        """Joins features to label rows, each row as of its own moment.

        Args:
            spine: label rows: a DataFrame of pandas or polars, a Table, reader
                or batch of pyarrow, anything with ``__arrow_c_stream__`` or
                ``__arrow_c_array__``, the path of a Parquet file, or SQL. It has a
                column for each join key, of the declared type, and a column of
                times; all columns pass through. The index of a pandas DataFrame
                does not: ``reset_index()`` first makes a column of it.

                A string that begins with SELECT or WITH is SQL, of DataFusion.
                Its tables are the feature views that are applied, each with all
                columns of its source's files as they are, and, unless a server
                runs it, Parquet files by their quoted path. Rows come in the
                query's order; without ORDER BY that is the one in which the
                engine finds them, the same while the files are. ``now()`` is the
                store's clock.

                A file, a ``pyarrow.RecordBatchReader`` and SQL are read as rows
                are needed, so that memory does not grow with them, and what is
                wrong with one of their rows is an error of the call that reads
                the training set. A reader is read once, on a thread of its own. A
                server is sent rows while the training set is read.
            features: what to join: ``["view:feature", "view:*"]``. With
                ``"home=airport[airport_id=home_id]:*"`` a view is joined under
                another name, its join key taken from another column; or else
            service: the name of a feature service.
            at: instead of a spine: a row for every entity that has a fact which is
                seen by this moment, as of this moment, in the order of its join
                keys. An entity whose facts have all expired or were deleted has
                a row of nulls.
            between: instead of a spine: a row for every fact, deletions among
                them, of the feature view named first that is first seen, at the
                greater of its event and known time, later than the first moment
                and not later than the second; as of then, ordered by that time
                and the join keys. With ``at`` and ``between`` all features are of
                one entity.
            timestamp: the spine's column of times, timestamps of any unit or
                dates. ``at`` and ``between`` make it.
            timezone: whose local times these are if they are naive, as the IANA
                database names it, such as ``"Europe/Berlin"``; UTC's if left out,
                which the report's ``warnings`` then say. Of a time that a clock
                showed twice or never the earlier reading counts.
            known_by: the knowledge cutoff: no fact that became known later is
                seen, so that a rebuild in a year gives today's rows.
            full_names: name feature columns ``view:feature``, not ``feature``.
            known: as each view declares, if left out, which is to honor known
                time unless it says otherwise; ``"ignore"`` switches it off, to
                reproduce an older system; rows may then see the future.
            sample: join only so many rows of the spine (an int), or such a
                share of them (a float up to 1.0), in their order. The same spine
                gives the same rows. Needs pyarrow and numpy, and rows or a file.

        Returns:
            A training set that runs when it is read.

        Raises:
            NotFoundError: no such service, view or feature.
            InvalidError: the spine lacks a column or has one of another type;
                two columns of the result would have one name; ``known_by`` is
                in the future; the SQL does not run, is no query, or names a
                table that there is not; rows come from nowhere, or from two places.
        """
        names = _names(features)
        asked = _spine.asked(spine, at, between, sample, self._open().is_remote)
        with _frames.naming_index(spine):
            native = self._native.training_set(
                asked, names, service, timestamp, timezone, to_micros(known_by), known, full_names
            )
        return TrainingSet(
            native, timestamp, timezone, lambda: resolve(self.catalog(), names, service)
        )

    def lookup(
        self,
        keys: Mapping[str, Iterable[Any]] | Frame,
        features: Sequence[str] | None = None,
        *,
        service: str | None = None,
        request: Mapping[str, Iterable[Any]] | Frame | None = None,
        as_of: Moment | None = None,
        times: bool = False,
    ) -> Lookup:
        """Looks up features of entities in the online store.

        Args:
            keys: a list for each join key, all of one length: str, int, bytes,
                bool, date, None; a column of a frame will do, and so will a
                DataFrame of pandas or polars with nothing but join keys.
            features: what to look up: ``["view:feature", "view:*"]``; or else
            service: the name of a feature service.
            request: a list for each field of the request that on-demand views
                read, as long as those of ``keys``: numbers, str, bool, datetime
                (without a zone UTC), date, Decimal, lists of numbers, None.
            as_of: the moment to answer for, now if left out; bounded by the
                history that each view keeps online.
            times: also return event and known times.

        Returns:
            One value and status for each entity and feature. An entity that is
            not known is no error; its features have the status NOT_FOUND.

        Raises:
            NotFoundError: no such service, view or feature.
            InvalidError: a join key or a field of the request is missing or
                unknown, the lists differ in length, or ``as_of`` is before a view's history.
            UnavailableError: the server is busy or cannot be reached.
        """
        columns = _frames.key_columns(keys)
        lists = {name: listed(name, values) for name, values in columns.items()}
        brought = None if request is None else _brought.dumps(_frames.key_columns(request))
        native = self._native.lookup(
            lists, _names(features), service, to_micros(as_of), times, brought
        )
        return Lookup(native, lists)

    def why(
        self,
        of: str,
        keys: Mapping[str, Any],
        *,
        at: Moment | None = None,
        known_by: Moment | None = None,
        known: Literal["honor", "ignore"] | None = None,
        facts: int | None = None,
    ) -> Why:
        """Explains a view's values for one entity: which fact answers, and why
        the others do not. Of a feature that is computed of events: which of
        them count. Reads the view's source.

        Args:
            of: the name of a feature view, or ``view:feature`` where features
                are computed of events, each of others.
            keys: a value for each join key.
            at: the time in question, now if left out.
            known_by: the knowledge cutoff: no fact that became known later is
                seen.
            known: as for :meth:`training_set`.
            facts: how many of each sort to list, at most 1,000; 8 if left out.

        Raises:
            NotFoundError: no such view, or its source has no files.
            InvalidError: a join key is missing or unknown, or the view's features
                are explained one by one and none is named.
        """
        lists = {name: [value] for name, value in keys.items()}
        native = self._native.why(of, lists, to_micros(at), to_micros(known_by), known, facts)
        return Why(native, dict(keys))

    def verify(
        self, views: Sequence[str] | None = None, samples: int = 1000, seed: int = 0
    ) -> dict[str, Any]:
        """Compares lookups with training sets, bit for bit.

        Facts are drawn from each view's source; their entities are asked about
        at moments when answers change, on both sides. A difference raises
        nothing: look at ``differences``, and at the outcomes for ``stale``.

        Args:
            views: names of feature views; all if left out.
            samples: facts drawn from each view.
            seed: draws the facts; another one asks other questions.

        Returns:
            ``differences`` and ``values`` (how many were compared), and
            ``views``: for each its name (``view``) and ``outcome``.
            ``skipped``: nothing of it is online. ``stale``: files that its
            online copy has consumed have changed or are gone, as ``reason``
            says; materialize, then verify again. ``compared``: with ``horizon``,
            ``pairs``, ``pairs_with_value``, ``values``, ``differences`` and the
            ``first`` of them (``entity``, ``at``, ``feature``, and ``offline``
            and ``online`` as text or None). Times are microseconds UTC.

        Raises:
            NotFoundError: no such view.
            InvalidError: more samples than one verification draws.
            UnavailableError: the server is verifying already.
        """
        if not (0 <= samples < 2**32 and 0 <= seed < 2**64):
            raise InvalidError(f"samples and seed are no negative numbers; {samples=}, {seed=}")
        found: dict[str, Any] = json.loads(self._native.verify(_names(views) or [], samples, seed))
        return found

    def plan(self, *, definitions: Iterable[Definition] | None = None) -> Plan:
        """Compares the repository's definitions with what is applied.

        Changes nothing.

        Args:
            definitions: objects of :mod:`hitherto.definitions`, compared as if
                they were the repository's file ``from_python.yaml``, all of it.
                A server takes none, since a definition can name any file of its
                machine: it plans what its repository's folder has.

        Raises:
            InvalidError: every problem, one a line, each with file and line; a name
                that another file defines too is one.
        """
        file = None if definitions is None else _plan.file_of(definitions)
        return Plan(self._native.plan(file))

    def apply(
        self, plan: Plan | None = None, *, definitions: Iterable[Definition] | None = None
    ) -> Plan:
        """Applies the repository's definitions, or a plan made before.

        Returns the plan that was applied.

        Args:
            plan: one that :meth:`plan` of this store made; made now if left out. A
                server applies what its definitions are when it is asked to.
            definitions: objects of :mod:`hitherto.definitions`. They are written to
                the repository's file ``from_python.yaml``, instead of what it has,
                and the whole repository is applied, as ``hitherto apply`` would:
                what other files define stays, what only that file defined and is not
                among them goes. If it is refused, the file is as it was.

        Raises:
            InvalidError: as :meth:`plan`; nothing is applied or written.
            ConflictError: the catalog has changed since ``plan`` was made.
            UnavailableError: the file cannot be written.
        """
        if definitions is not None:
            if plan is not None:
                raise InvalidError("a plan has its definitions; apply one of the two")
            return Plan(self._native.apply_file(*_plan.file_of(definitions)))
        plan = self.plan() if plan is None else plan
        self._native.apply(plan._native)
        return plan

    def materialize(
        self,
        views: Sequence[str] | None = None,
        full: bool = False,
        *,
        force: bool = False,
        start: Moment | None = None,
        end: Moment | None = None,
        progress: Progress | bool | None = None,
    ) -> list[dict[str, Any]]:
        """Brings the online store up to date with the sources.

        On a server it is a job (``hitherto jobs`` shows it), which ends with this
        call: also when it is interrupted, or ``progress`` raises.

        Args:
            views: names of feature views; all if left out.
            full: read every file again, into a new copy that replaces the old
                one at once; otherwise only new and changed files.
            force: show a new copy even if it differs from the old by more than
                ``online.maxChange`` of its view allows.
            start, end: only facts that happened from ``start`` to ``end``, both
                included. No file counts as read by that: the next run without
                them reads what it would have read.
            progress: whether a line says how far it is; left out, in terminals
                and notebooks. Or a function, told now and then of a view how
                many facts were read, of the rows in its files.

        Returns:
            What was done, for each view: ``view``, ``mode``, ``is_up_to_date``,
            ``files``, ``facts``, ``entities``, ``history_rows``,
            ``watermark`` (microseconds UTC), ``warnings`` (what may not be meant,
            such as times without a zone) and others.

        Raises:
            NotFoundError: no such view, or a source has no files.
            ConflictError: a new copy differs from the old by more than its view allows;
                or a server does the same already.
            KeyboardInterrupt: within 50 ms of Ctrl-C, and at most a second later if a
                server has to be told. Views that are done stay
                done; of the others nothing is visible.
        """
        window = (to_micros(start), to_micros(end))
        line = Line() if progress is True or (progress is None and is_watched()) else None
        tell = line if progress is None or isinstance(progress, bool) else progress
        try:
            answer = self._native.materialize(_names(views) or [], full, force, window, tell)
        finally:
            if line is not None:
                line.end()
        done: list[dict[str, Any]] = json.loads(answer)
        return done

    def push(
        self,
        view: str,
        facts: Spine,
        *,
        idempotency_key: str | None = None,
        ack: Literal["durable", "async"] = "durable",
    ) -> dict[str, Any]:
        """Pushes facts into a view: the next lookup sees them, and so do training
        sets. A fact replaces another only if it is newer, so late ones do no harm.
        Pushed again, the same facts change nothing.

        Args:
            view: the feature view's name.
            facts: as a spine: a DataFrame, a Table, a reader or batch, or the path
                of a Parquet file. Join keys and features have their own names,
                times those of the view's source. Without a column of known times
                facts are known from now on: no row of a training set before now
                sees them, however long ago they happened.
            idempotency_key: names the push; pushed again under the same name,
                the same facts change nothing and keep the known time that they
                were given first, and other facts are refused. By default it is
                made of the facts; under another one they are stated anew, and
                ``""`` is none.
            ack: when facts count as pushed: on the disk, or once lookups see
                them, which a loss of power may undo.

        Returns:
            ``facts``; ``facts_repeated``: how many of them had been pushed
            before under that name; ``known_from``: from when on those are known
            that brought no known time, or None.

        Raises:
            NotFoundError: no such view.
            InvalidError: a column is missing, unknown or of another type, or a
                fact has no join key or time.
            ConflictError: other facts were pushed before under that name.
            UnavailableError: nothing of the view is online yet.
        """
        if ack not in ("durable", "async"):
            raise InvalidError(f'ack is "durable" or "async"; found {ack!r}')
        rows = _spine.read(facts)
        with _frames.naming_index(facts):
            pushed = self._native.push(view, rows, idempotency_key, ack == "durable")
        batches: list[dict[str, Any]] = json.loads(pushed)
        repeated = (batch["facts"] for batch in batches if batch["is_repeated"])
        known = [batch["known_from"] for batch in batches if batch["known_from"] is not None]
        off = max((batch["clock_off_micros"] for batch in batches), key=abs, default=0)
        if off:
            warnings.warn(
                f"the clock is {timedelta(microseconds=abs(off))} "
                f"{'ahead of' if off > 0 else 'behind'} the facts pushed before; facts that bring "
                "no known time are known from the later of the two",
                stacklevel=2,
            )
        return {
            "facts": sum(batch["facts"] for batch in batches),
            "facts_repeated": sum(repeated),
            "known_from": to_datetime(max(known)) if known else None,
        }

    def rollback(self, view: str) -> dict[str, Any]:
        """Goes back to a view's previous online copy, at once. What was pushed
        since is in both.

        Returns:
            ``view``, and the generations ``from`` and ``to``.

        Raises:
            NotFoundError: no such view, or no copy to go back to.
        """
        rolled_back: dict[str, Any] = json.loads(self._native.rollback(view))
        return rolled_back

    def whoami(self) -> dict[str, Any]:
        """Who asks, as whoever answers knows it.

        Returns:
            ``subject``, such as ``token/nightly-etl``; ``kind``: ``person``,
            ``workload`` or ``anonymous``; ``assurance``: ``key``, ``shared_secret``
            or ``none``; the ``roles`` that come with what was shown; the
            ``purposes`` that it is for alone, ``None`` for any; when it
            ``expires``, ``None`` for never.

        Raises:
            DeniedError: the server asks for a token or certificate that it knows.
        """
        told: dict[str, Any] = json.loads(self._native.whoami())
        expires = told["expires"]
        return {**told, "expires": None if expires is None else to_datetime(expires)}

    def catalog(self) -> dict[str, Any]:
        """What is applied and what of it is online: ``version``, ``views``,
        ``services``. Times in it are microseconds UTC.
        """
        catalog: dict[str, Any] = json.loads(self._native.catalog())
        return catalog

    def close(self) -> None:
        """Closes the store; a second time does nothing. Training sets that are
        being read go on.
        """
        self._open().close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<hitherto.Store: {self._target}{self._state()}>"

    def _state(self) -> str:
        if self._opened is None:
            return ", not open yet"
        return ", closed" if self._opened.is_closed else ""

    def _repr_html_(self) -> str:
        """For notebooks: the views that are applied. Asks the store for them."""
        title = f"Store: {self._target}{self._state()}"
        try:
            views = self.catalog()["views"]
        except Error as error:
            return _html.block(title, _html.note(error))
        return _html.block(title, _views.table(views))


def _names(names: Sequence[str] | None) -> list[str] | None:
    if isinstance(names, str):
        raise InvalidError(f"a list of names is needed; write [{names!r}]")
    return None if names is None else list(names)


def listed(name: str, values: Iterable[Any]) -> list[Any]:
    """A join key's values as a list.

    Raises:
        InvalidError: they are one value.
    """
    if isinstance(values, list):
        return values
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidError(f"join key {name!r} needs a list; write [{values!r}]")
    # Columns of pyarrow, polars, and of numpy and pandas: their Python values.
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(values, method):
            found: list[Any] = getattr(values, method)()
            return found
    return list(values)
