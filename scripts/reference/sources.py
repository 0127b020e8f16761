"""What only the repository tells: errors, file formats, and the list of pages."""

from __future__ import annotations

import re
from pathlib import Path

from product import HEADER, ROOT, Product, table

CRATES = ROOT / "crates"


GRPC = {
    "3": "INVALID_ARGUMENT",
    "5": "NOT_FOUND",
    "7": "PERMISSION_DENIED",
    "10": "ABORTED",
    "13": "INTERNAL",
    "14": "UNAVAILABLE",
    "15": "DATA_LOSS",
    "16": "UNAUTHENTICATED",
}
"""The names of gRPC's statuses, by their numbers."""


def kinds(product: Product) -> list[list[str]]:
    """Each kind of error with its exit code, its status over gRPC and HTTP, and what to do."""
    text = (CRATES / "hitherto-core/src/error.rs").read_text("utf-8")

    def arms(function: str) -> dict[str, str]:
        body = re.search(rf"fn {function}\(.*?\n    }}\n", text, re.DOTALL)[0]
        pairs = re.findall(r"((?:Kind::\w+(?: \| )?)+) => \"?(\w+)", body)
        return {kind: to for kinds, to in pairs for kind in re.findall(r"Kind::(\w+)", kinds)}

    names, codes, statuses = arms("name"), arms("grpc_code"), arms("http_status")
    said = re.findall(r"^ +(\d) +([a-z_]+) +(\S.*)$", product.run("--help"), re.MULTILINE)
    told = {name: (code, advice) for code, name, advice in said}
    return [
        [f"`{name}`", told[name][0], f"`{GRPC[codes[kind]]}`", statuses[kind], told[name][1]]
        for kind, name in names.items()
    ]


def errors(product: Product) -> str:
    """docs/reference/errors.md."""
    lines = (ROOT / "fixtures" / "errors.txt").read_text("utf-8").splitlines()
    messages: dict[str, set[str]] = {}
    for line in lines:
        kind, _, message = (part.strip() for part in line.split(" |", 2))
        if message:
            messages.setdefault(kind, set()).add(message)
    parts = [
        "# Errors",
        "Every error has a kind, which is the same on the command line, over gRPC and HTTP and "
        "in Python, and a message that says what to do next.",
        table(["kind", "exit code", "gRPC", "HTTP", ""], kinds(product)).strip(),
        "HTTP says 429 in the place of 503 where the server is full, 405 for another method and "
        "413 for a body that is too large. In Python `hitherto.InvalidError` and its siblings are "
        "the kinds; all are a `hitherto.Error`.",
        "Below are all messages, as they stand in the program: `{}` and `{name}` are filled in.",
    ]
    for kind, found in sorted(messages.items()):
        rows = [f"- {code(message)}" for message in sorted(found)]
        parts += [f"## {kind}", "\n".join(rows)]
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def code(text: str) -> str:
    """Text as code, whatever backquotes it has."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def header(path: Path) -> str:
    """What a module says of itself, without its table of modules; links to code are code."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("//!"):
            break
        lines.append(line[4:])
    text = re.sub(r"\[(`[^`]+`)\](?:\([^)]*\))?", r"\1", "\n".join(lines).strip())
    text = re.sub(r"\| module .*\n(\|.*\n?)+\n*", "", text)
    return re.sub(r"^#", "###", text, flags=re.MULTILINE)


def module(name: str) -> Path:
    """The file of a module that is written `crate/path`."""
    crate, _, path = name.removesuffix(".rs").partition("/")
    base = CRATES / f"hitherto-{crate}" / "src" / path
    found = [each for each in (base.with_suffix(".rs"), base / "mod.rs") if each.exists()]
    if not found:
        raise SystemExit(f"online/keys.rs names {name}, and there is no {base}")
    return found[0]


def formats() -> str:
    """docs/reference/formats.md."""
    keys = header(module("online/keys"))
    named = re.findall(r"^\| ([\w, ']+?) +\|.*\| `([\w/.]+)` +\|$", keys, re.MULTILINE)
    parts = [
        "# File formats",
        "What Hitherto writes, byte by byte, as the modules that write it say: `crates/hitherto-"
        "CRATE/src/PATH` for what is called `CRATE/PATH` here. Every structure has a number; a "
        "newer one is refused, and an older one is read. `fixtures/formats` has a store, a "
        "backup and a manifest of each number, which a test opens for ever. "
        "[The audit log](../operate/audit.md#the-bytes) has its bytes on its own page.",
        f"## Keys\n\n{keys}",
        f"## The store's folder\n\n{header(module('online/rocks'))}",
        f"## Entity keys\n\n{header(module('core/key'))}",
        f"## Keys of events\n\n{header(module('core/key/event'))}",
        f"## Checksums of files\n\n{header(module('offline/files/sums'))}",
    ]
    for title, name in named:
        parts.append(f"## {title[0].upper()}{title[1:]}\n\n{header(module(name))}")
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def nav() -> list[tuple[int, str, str]]:
    """The entries of mkdocs.yml's nav: how deep, title, and page or nothing."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    lines = re.findall(r"^( +)- ([^:\n]+):(?: (\S+))?$", text, re.MULTILINE)
    return [(len(indent) // 4, title, page) for indent, title, page in lines]


def summary(page: str) -> str:
    """The first sentence of a page; of a runbook what it means."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    text = text.partition("## What it means")[2] or text.partition("\n")[2]
    lines = text.strip().partition("\n\n")[0]
    sentence = re.split(r"(?<=[.:])\s", " ".join(lines.split()))[0]
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", sentence).rstrip(".:") + "."


def llms() -> str:
    """docs/llms.txt: the pages, for a program that reads."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    about = index.split("\n\n")[1]
    lines = ["# Hitherto", "", f"> {' '.join(about.split())}"]
    for depth, title, page in nav():
        if not page:
            lines += ["", f"{'##' if depth == 0 else '###'} {title}", ""]
        elif page != "index.md":
            said = "" if page.startswith("reference/") else f": {summary(page)}"
            lines.append(f"- [{title}]({page}){said}")
    return "\n".join(lines) + "\n"
