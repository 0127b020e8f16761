"""The command line, as its own help says it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from product import HEADER, Product, plain, table

SHARED = {
    "Options of every command": "Options of every command",
    "Options of --server": "Options for a server",
}
"""Sections that many commands have, written once, and their titles."""


@dataclass
class Help:
    """One command's help, in its parts."""

    about: list[str] = field(default_factory=list)
    usage: str = ""
    sections: dict[str, list[str]] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)

    def entries(self, section: str) -> list[tuple[str, list[str]]]:
        """Options or arguments: how each is written, and what is said of it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.sections.get(section, []):
            if re.match(r" {2,6}\S", line):
                found.append((line.strip(), []))
            elif found:
                found[-1][1].append(line.strip())
        return [entry for entry in found if not entry[0].startswith("-h, --help")]


def parse(text: str) -> Help:
    """Takes clap's long help apart."""
    parsed, section = Help(), None
    heading = re.compile(r"(Arguments|Options[\w -]*|Commands):$")
    for line in text.splitlines():
        if line.startswith("Usage: "):
            parsed.usage = line.removeprefix("Usage: ")
            section = []
        elif match := heading.match(line):
            section = parsed.sections.setdefault(match[1], [])
        elif line[:1].strip() and section is not None:
            parsed.after.append(line)
            section = parsed.after
        else:
            (parsed.about if section is None else section).append(line)
    return parsed


def paragraphs(lines: list[str]) -> str:
    """Wrapped lines as paragraphs."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip())
    whole = [" ".join(block.split()) for block in blocks]
    return "\n\n".join(plain(text if text[-1:] in ".:" else f"{text}.") for text in whole)


def described(lines: list[str]) -> tuple[str, str, str]:
    """Of an option: what it does, its default, its variable of the environment."""
    default = variable = ""
    said: list[str] = []
    for line in lines:
        if match := re.fullmatch(r"\[env: (\w+)=?\]", line):
            variable = f"`{match[1]}`"
        elif match := re.fullmatch(r"\[default: (.*)\]", line):
            default = f"`{match[1]}`"
        elif line != "Possible values:":
            said.append(re.sub(r"^- (\S+):\s+", r"; `\1`: ", line))
    return plain(" ".join(said)).replace(" ; `", ": `", 1).replace(" ; `", "; `"), default, variable


def options(entries: list[tuple[str, list[str]]]) -> str:
    """A table of options, with the columns that have something in them."""
    rows = [[f"`{name}`", *described(lines)] for name, lines in entries]
    head = ["", "", "default", "environment"]
    kept = [at for at in range(4) if at < 2 or any(row[at] for row in rows)]
    return table([head[at] for at in kept], [[row[at] for at in kept] for row in rows])


def after(lines: list[str]) -> str:
    """What follows the options: examples, which are commands, and tables of text."""
    written = []
    for line in lines:
        if line[:1].strip():
            kind = "text" if line.startswith(("Exit codes", "and as")) else "sh"
            written.append([f"{line.rstrip(':')}:", kind, []])
        elif written:
            written[-1][2].append(line.removeprefix("  "))
    blocks = ((title, kind, "\n".join(body).strip("\n")) for title, kind, body in written)
    return "\n\n".join(f"{title}\n\n```{kind}\n{body}\n```" for title, kind, body in blocks)


def names(parsed: Help) -> list[str]:
    """The commands below this one."""
    lines = parsed.sections.get("Commands", [])
    found = [match[1] for line in lines if (match := re.match(r"  ([a-z][\w-]*) ", line))]
    return [name for name in found if name != "help"]


def section(product: Product, path: list[str], shared: dict[str, str]) -> list[str]:
    """The section of one command, and those of its commands."""
    parsed = parse(product.run(*path, "--help"))
    parts = [f"{'#' * (len(path) + 1)} hitherto {' '.join(path)}", paragraphs(parsed.about)]
    parts.append(f"```text\n{parsed.usage}\n```")
    for title in ("Arguments", "Options"):
        if entries := parsed.entries(title):
            parts.append(options(entries))
    for title in SHARED:
        if entries := parsed.entries(title):
            shared.setdefault(title, options(entries))
    if parsed.entries("Options of --server"):
        parts.append("And the [options for a server](#options-for-a-server).")
    if parsed.after:
        parts.append(after(parsed.after))
    for name in names(parsed):
        parts += section(product, [*path, name], shared)
    return [part.strip("\n") for part in parts]


def page(product: Product) -> str:
    """docs/reference/cli.md."""
    whole = parse(product.run("--help"))
    shared: dict[str, str] = {}
    parts = [part for name in names(whole) for part in section(product, [name], shared)]
    head = ["# The command line", paragraphs(whole.about), after(whole.after)]
    for title, text in shared.items():
        head += [f"## {SHARED[title]}", text.strip()]
    return HEADER + "\n" + "\n\n".join(head + parts) + "\n"
