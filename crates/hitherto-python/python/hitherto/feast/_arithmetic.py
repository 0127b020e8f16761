"""Functions of Feast's on demand views as SQL, where they are plain arithmetic.

A function is read and not run. What is understood is what such functions mostly are::

    df = pd.DataFrame()
    df["total"] = inputs["amount"] + inputs["fee"] * 1.5
    return df

and ``return pd.DataFrame({...})``, or of Python's mode ``return {...}``. Numbers are computed in
float64, as pandas does as soon as a float or a missing value is among them.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping

from .._errors import InvalidError

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
DOUBLES = ("float", "float64")


class NotPlainError(InvalidError):
    """A function does more than arithmetic."""


def expressions(source: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The SQL of each column that a function returns.

    Args:
        source: of the function, with decorators or without.
        columns: of its argument, and what each is called in SQL.

    Raises:
        NotPlainError: something of it is no arithmetic; which line.
    """
    try:
        [function] = [
            node
            for node in ast.parse(textwrap.dedent(source)).body
            if isinstance(node, ast.FunctionDef)
        ]
        [argument] = function.args.args
    except (SyntaxError, ValueError) as cause:
        raise NotPlainError("it is no function of one argument that can be read") from cause
    return _Reader(argument.arg, columns).read(function.body)


class _Reader:
    """Reads one function."""

    def __init__(self, argument: str, columns: Mapping[str, str]) -> None:
        self._argument = argument
        self._columns = columns
        self._locals: dict[str, str] = {}
        self._frames: dict[str, dict[str, str]] = {}

    def read(self, body: list[ast.stmt]) -> dict[str, str]:
        for statement in body:
            if isinstance(statement, ast.Return) and statement.value is not None:
                return self._returned(statement.value)
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # What it says of itself.
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self._assign(statement.targets[0], statement.value)
                continue
            raise self._odd(statement)
        raise NotPlainError("it returns nothing")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            frame = self._frame(value)
            if frame is None:
                self._locals[target.id] = self._number(value)
            else:
                self._frames[target.id] = frame
            return
        if (
            isinstance(target, ast.Subscript)
            and isinstance(target.value, ast.Name)
            and target.value.id in self._frames
        ):
            self._frames[target.value.id][self._text(target.slice)] = self._number(value)
            return
        raise self._odd(target)

    def _returned(self, value: ast.expr) -> dict[str, str]:
        if isinstance(value, ast.Name) and value.id in self._frames:
            return self._frames[value.id]
        frame = self._frame(value)
        if frame is None:
            raise self._odd(value)
        return frame

    def _frame(self, value: ast.expr) -> dict[str, str] | None:
        """The columns of ``pd.DataFrame(...)`` or of a dict; None if it is neither."""
        if isinstance(value, ast.Call):
            name = value.func.attr if isinstance(value.func, ast.Attribute) else ""
            if name != "DataFrame" or value.keywords or len(value.args) > 1:
                return None
            return self._frame(value.args[0]) if value.args else {}
        if not isinstance(value, ast.Dict):
            return None
        columns: dict[str, str] = {}
        for key, each in zip(value.keys, value.values, strict=True):
            if key is None:
                raise self._odd(each)
            columns[self._text(key)] = self._number(each)
        return columns

    def _number(self, value: ast.expr) -> str:
        if isinstance(value, ast.Constant) and type(value.value) in (int, float):
            return f"CAST({value.value!r} AS DOUBLE)"
        if isinstance(value, ast.Name) and value.id in self._locals:
            return self._locals[value.id]
        if isinstance(value, ast.Subscript) and self._is_argument(value.value):
            name = self._text(value.slice)
            if name not in self._columns:
                raise NotPlainError(f"line {value.lineno} reads {name!r}, which is not here")
            return f"CAST({self._columns[name]} AS DOUBLE)"
        if isinstance(value, ast.BinOp) and type(value.op) in OPERATORS:
            sign = OPERATORS[type(value.op)]
            return f"({self._number(value.left)} {sign} {self._number(value.right)})"
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
            return f"(-{self._number(value.operand)})"
        if isinstance(value, ast.Call) and self._is_cast(value):
            assert isinstance(value.func, ast.Attribute)
            return self._number(value.func.value)
        raise self._odd(value)

    def _is_argument(self, value: ast.expr) -> bool:
        return isinstance(value, ast.Name) and value.id == self._argument

    @staticmethod
    def _is_cast(call: ast.Call) -> bool:
        """Whether it is ``.astype(float)``: everything is one already."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "astype":
            return False
        if len(call.args) != 1 or call.keywords:
            return False
        [kind] = call.args
        found = kind.value if isinstance(kind, ast.Constant) else getattr(kind, "id", None)
        return found in DOUBLES

    def _text(self, value: ast.expr) -> str:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
        raise self._odd(value)

    @staticmethod
    def _odd(node: ast.AST) -> NotPlainError:
        line = getattr(node, "lineno", 1)
        return NotPlainError(
            f"line {line} of its function is no plain arithmetic of columns: {ast.unparse(node)}"
        )
