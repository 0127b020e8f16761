"""Pages of documentation as tests see them: blocks, links, and the commands in a block."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OURS = "https://github.com/hitherto/hitherto/blob/main/"
"""Where the repository's files can be read: links to them are looked up here."""

sys.path.insert(0, str(ROOT / "scripts" / "reference"))

PAGES = sorted(DOCS.rglob("*.md"))
BESIDE = [*ROOT.glob("*.md"), *(ROOT / "crates").glob("*/README.md"), ROOT / "benches/README.md"]
"""Pages that lie elsewhere: their links are looked up, too."""

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:(?:    .*)?\n)+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code on a page: `sh` where it is indented, for so commands are written."""

    page: Path
    line: int
    language: str
    text: str
    before: str
    """The line of text before it, which may name a file."""
    section: str
    """The heading that it stands below."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is to be, where the line before names one and ends with it."""
        match = re.search(r"`([\w./-]+\.\w+)`:$", self.before)
        return match[1] if match else None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text("utf-8")
    found, rest = [], text
    for match in FENCE.finditer(text):
        body = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(block(page, text, match.start(), match[2], body))
        rest = rest.replace(match[0], re.sub(r"[^\n]", "x", match[0]))
    for match in INDENTED.finditer(rest):
        if match[0].strip() and not in_list(rest, match.start()):
            body = re.sub(r"^    ", "", match[0], flags=re.MULTILINE).strip("\n") + "\n"
            found.append(block(page, text, match.start(), "sh", body))
    return sorted(found, key=lambda each: each.line)


def block(page: Path, text: str, start: int, language: str, body: str) -> Block:
    before = text[:start].rstrip().rpartition("\n")[2].strip()
    sections = re.findall(r"^#+ (.+)$", FENCE.sub("", text[:start]), re.MULTILINE)
    line = text.count("\n", 0, start) + 1
    return Block(page, line, language, body, before, sections[-1] if sections else "")


def in_list(text: str, start: int) -> bool:
    """Whether indented text goes on with an item of a list."""
    paragraph = text[:start].rstrip("\n").rpartition("\n\n")[2]
    return bool(re.match(r"( *[-*] |\d+\. )", paragraph)) and text[start:].startswith("      ")


def commands_of(script: str) -> Iterator[list[str]]:
    """The simple commands of a script, as lists of words, without what a prompt answers."""
    if script.startswith("$ "):
        script = "\n".join(line[2:] for line in script.splitlines() if line.startswith("$ "))
    script = re.sub(r"\\\n\s*", " ", re.sub(r"(^|\s)#[^\n]*", r"\1", script, flags=re.MULTILINE))
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.commenters = " \t", ""
    lexer.wordchars += "*?[]=:@%$+,!^~{}#"
    words: list[str] = []
    is_redirected = False
    for token in lexer:
        if set(token) <= set(";&|()\n"):
            yield words
            words = []
        elif set(token) <= set("<>"):
            is_redirected = True
        elif is_redirected:
            is_redirected = False
        else:
            words.append(token)
    yield words


def hitherto(words: list[str]) -> list[str] | None:
    """The arguments of a command that is Hitherto's, also within a pod."""
    while words and (re.match(r"\w+=", words[0]) or words[0] in ("sudo", "time")):
        words = words[1:]
    if "exec" in words[:4] and "--" in words:
        words = words[words.index("--") + 1 :]
    return words[1:] if words and words[0].rpartition("/")[2] == "hitherto" else None


class CommandLine:
    """What the binary's help allows."""

    def __init__(self, binary: Path) -> None:
        import commands
        import product

        self.parse, self.names = commands.parse, commands.names
        self.product = product.Product(binary)
        self.help = cache(self.read)

    def read(self, path: tuple[str, ...]):
        parsed = self.parse(self.product.run(*path, "--help"))
        arity = {}
        for section in parsed.sections:
            if section.startswith("Options"):
                for name, _ in parsed.entries(section):
                    for long in re.findall(r"--[\w-]+", name):
                        arity[long] = len(re.findall(r"<[^>]+>", name))
        usage = parsed.usage.partition("[OPTIONS]")[2]
        return arity, usage, self.names(parsed)

    def wrong(self, arguments: list[str]) -> str | None:
        """Why the binary would not take these arguments, or nothing."""
        path: list[str] = []
        if arguments in (["--help"], ["--version"]):
            return None
        while True:
            arity, usage, below = self.help(tuple(path))
            if not arguments or arguments[0] not in below:
                break
            path.append(arguments.pop(0))
        if not path or (below and "<COMMAND>" in usage):
            return f"there is no command {' '.join([*path, *arguments[:1]])!r}"
        given = 0
        while arguments:
            word = arguments.pop(0)
            if word.startswith("--"):
                name, _, value = word.partition("=")
                if name not in {**arity, "--help": 0}:
                    return f"hitherto {' '.join(path)} has no option {name}"
                taken = max(arity.get(name, 0) - bool(value), 0)
                if len(arguments) < taken:
                    return f"{name} has no value"
                del arguments[:taken]
            else:
                given += 1
        least, most = self.bounds(usage)
        return None if least <= given <= most else f"{given} arguments for {usage.strip()!r}"

    @staticmethod
    def bounds(usage: str) -> tuple[int, float]:
        """How many arguments a usage has, at least and at most."""
        text = re.sub(r"--[\w-]+ <[^>]+>", "", usage.replace("[COMMAND]", ""))
        inner = re.sub(r"\[[^\s<>]*(?:\[[^\]]*\])?[^\s<>]*\](\.\.\.)?", "?", text)
        least = len(re.findall(r"<[^>]+>", inner))
        optional = inner.count("?")
        return least, float("inf") if "..." in usage else least + optional


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """The targets of a page's links, those in code aside."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return LINK.findall(re.sub(r"`[^`\n]*`", "", re.sub(r"\[`", "[", text)))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings that GitHub and MkDocs call alike."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).strip().replace(" ", "-")
        if "--" not in slug:
            found.add(slug)
    return found


def broken(page: Path, link: str) -> str | None:
    """Why a link leads nowhere, or nothing; elsewhere than here nothing is asked."""
    target, _, anchor = link.partition("#")
    if link.startswith(OURS):
        path = ROOT / target.removeprefix(OURS)
    elif "://" in link or link.startswith("mailto:"):
        return None
    else:
        path = (page.parent / target).resolve() if target else page
        if DOCS in page.parents and DOCS not in path.parents:
            return f"{link} leaves docs; write {OURS}..."
        if DOCS in page.parents and path.is_dir():
            return f"{link} is a folder; name a page"
    if not path.exists():
        return f"{link} is not there"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"{link}: {path.name} has no heading #{anchor}"
    return None
