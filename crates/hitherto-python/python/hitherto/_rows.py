"""Rows in columns, and what they can become."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from . import _arrow, _parquet

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    import torch

    from ._arrow import Matrix


class Rows(ABC):
    """Rows of a training set, or of a part of one."""

    __slots__ = ()

    @property
    @abstractmethod
    def column_names(self) -> list[str]:
        """Names of all columns, in order. Runs nothing."""

    @property
    @abstractmethod
    def feature_names(self) -> list[str]:
        """Names of the columns that are features: the last ones. Runs nothing,
        and asks the store which features there are."""

    @property
    def schema(self) -> pyarrow.Schema:
        """Names and types of all columns. Runs nothing; needs pyarrow."""
        return _arrow.to_schema(self)

    @abstractmethod
    def _keep(self) -> None:
        """Runs what is to be run, so that rows can be read more than once."""

    @abstractmethod
    def _failure(self) -> BaseException | None:
        """What ended the run before its last row, if something did."""

    @abstractmethod
    def __arrow_c_schema__(self) -> object: ...

    @abstractmethod
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table over the kept rows, without a copy.

        Feature columns have their declared types. The spine's have the types
        they came in; times stay in their unit and zone.

        Raises:
            UnavailableError: a source or the server cannot be read now.
            InvalidError: a source no longer fits its definition, or the rows
                were handed on as a stream before.
            KeyboardInterrupt: within 50 ms of Ctrl-C; the run is dropped.
        """
        self._keep()
        return _arrow.to_arrow(self)

    def to_reader(self) -> pyarrow.RecordBatchReader:
        """A pyarrow reader of record batches of at most 8,192 rows, which are
        not kept. What goes wrong on the way it raises as :meth:`to_arrow` would;
        where another library reads it, its own error has the text of that."""
        return _arrow.to_reader(self, self._failure)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame with a RangeIndex; needs pyarrow beside pandas.

        Integer and boolean columns that contain nulls get pandas' nullable
        types (``Int64``, ``boolean``), so that no integer is ever rounded
        through float64; without a null they are ``int64`` and ``bool``. Dates
        and decimals are objects, as pandas has no other type for them; a column of
        which some dates lie outside of Python's years 1 to 9999 is ``datetime64[ms]``.

        Raises:
            As :meth:`to_arrow`.
        """
        self._keep()
        return _arrow.to_pandas(self)

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame, mostly over the same memory.

        Raises:
            As :meth:`to_arrow`.
        """
        self._keep()
        return _arrow.to_polars(self)

    def to_numpy(
        self,
        columns: Sequence[str] | None = None,
        dtype: Literal["float32", "float64"] = "float64",
    ) -> Matrix:
        """A matrix of numbers, of shape (rows, columns); needs pyarrow and numpy.

        Args:
            columns: names of columns of numbers or bools; :attr:`feature_names`
                if left out.
            dtype: of the matrix. A null is NaN, a bool 0 or 1, and an integer
                that the type cannot hold is rounded.

        Raises:
            InvalidError: a column is not there, or is not of numbers or bools;
                and as :meth:`to_arrow`.
        """
        names = self.feature_names if columns is None else columns
        return _arrow.to_matrix(self.to_arrow(), names, dtype)

    def to_torch(
        self,
        columns: Sequence[str] | None = None,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> torch.Tensor:
        """The matrix of :meth:`to_numpy` as a torch tensor over its memory."""
        return _arrow.to_tensor(self.to_numpy(columns, dtype))

    def write_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        partition_by: Sequence[str] = (),
        max_rows_per_file: int | None = None,
    ) -> int:
        """Writes Parquet, batch by batch: all rows are never in memory unless
        they are kept already. Needs pyarrow.

        Without the two options ``path`` is one file. With one of them it is a
        folder: of files ``part-0.parquet`` and so on, in subfolders
        ``column=value`` for each value of the columns ``partition_by``. Nothing
        is seen under ``path`` before all of it is written.

        Returns:
            How many rows were written.

        Raises:
            InvalidError: a column to partition by is not there, or the folder
                has something in it.
            As :meth:`to_arrow`; nothing is written then.
        """
        return _parquet.write(self.to_reader(), path, partition_by, max_rows_per_file)
