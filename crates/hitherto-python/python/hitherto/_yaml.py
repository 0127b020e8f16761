"""YAML as far as definitions need it.

What is written has one fixed shape: mappings in blocks, a join key or feature
on a line, text that lasts several lines as a block. Text that YAML could take
for anything else is written as JSON, which YAML includes. Reading is PyYAML's,
imported when it is needed; every scalar stays the text that it is, as it does
in the engine.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

from ._errors import InvalidError

PLAIN = re.compile(
    r"[A-Za-z_][A-Za-z0-9_./-]*(:[a-z0-9_]+)?( [A-Za-z0-9_./-]+)*|([0-9]+(w|d|h|m|s|ms|us))+"
)
"""Text that needs no quotes, unless it is one of these words."""
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

LINE_CHARS = 100
"""A mapping that fits is written on one line."""

UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON lets stand and YAML does not."""


def dump(document: dict[str, Any]) -> str:
    """A document, without a marker before or after it."""
    return "".join(f"{line}\n" for line in _block(document, ""))


def plain(value: Any) -> str:
    """Any JSON value as YAML, mappings and lists in blocks."""
    return "".join(f"{line}\n" for line in _lines(value))


def documents(text: str) -> list[Any]:
    """The documents of a text that are not empty.

    Raises:
        InvalidError: it is not YAML.
        ImportError: PyYAML is not installed.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as cause:
        raise ImportError(
            "reading YAML in Python needs PyYAML; install it with: pip install pyyaml"
        ) from cause
    try:
        found = list(yaml.load_all(text, Loader=yaml.BaseLoader))
    except yaml.YAMLError as cause:
        raise InvalidError(f"this is not YAML: {cause}") from cause
    return [document for document in found if document not in (None, "")]


def _lines(value: Any) -> list[str]:
    entries: list[tuple[str, Any]]
    if isinstance(value, dict) and value:
        entries = [(f"{_scalar(str(name))}:", each) for name, each in value.items()]
    elif isinstance(value, list) and value:
        entries = [("-", each) for each in value]
    else:
        return [_scalar(value) if isinstance(value, str) else json.dumps(value)]
    lines: list[str] = []
    for mark, each in entries:
        below = _lines(each)
        is_block = isinstance(each, dict | list) and bool(each)
        if not is_block or mark == "-":
            lines += [f"{mark} {below[0]}", *(f"  {line}" for line in below[1:])]
        else:
            lines += [mark, *(f"  {line}" for line in below)]
    return lines


def _block(mapping: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for name, value in mapping.items():
        key = f"{indent}{_scalar(name)}:"
        if isinstance(value, dict):
            is_flat = indent and all(isinstance(item, str | bool) for item in value.values())
            flow = f"{key} {_flow(value)}" if is_flat else key
            fits = is_flat and len(flow) <= LINE_CHARS
            lines += [flow] if fits else [key, *_block(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [key, *(f"{indent}  - {_flow(item)}" for item in value)]
        elif isinstance(value, str) and _is_text_of_lines(value):
            text = value.removesuffix("\n").split("\n")
            body = [f"{indent}  {line}".rstrip() for line in text]
            lines += [f"{key} |" if value.endswith("\n") else f"{key} |-", *body]
        else:
            lines.append(f"{key} {_scalar(value)}")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        entries = (f"{_scalar(name)}: {_flow(item)}" for name, item in value.items())
        return f"{{ {', '.join(entries)} }}" if value else "{}"
    if isinstance(value, list):
        items: list[Any] = value
        return f"[{', '.join(_flow(item) for item in items)}]"
    return _scalar(value)


def _scalar(text: str | float) -> str:
    if isinstance(text, bool):
        return str(text).lower()
    if isinstance(text, int | float):
        return str(text)
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _is_text_of_lines(text: str) -> bool:
    """Whether a block says exactly this text."""
    lines = text.removesuffix("\n").split("\n")
    is_plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    is_framed = lines[0] != "" != lines[-1] and lines[0] == lines[0].lstrip()
    return "\n" in text and is_plain and is_framed
