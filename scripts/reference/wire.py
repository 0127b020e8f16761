"""What goes over the wire: HTTP by OpenAPI, gRPC by the proto files, metrics by a scrape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from product import HEADER, ROOT, Product, plain, table
from schemas import kind, section

OPEN = {"view", "feature", "service", "le", "version"}
"""Labels whose values are the repository's own, or without end."""


def http(product: Product) -> str:
    """docs/reference/http.md."""
    document, _ = product.served
    parts = [
        "# HTTP",
        "What a server answers on its port over plain HTTP, as its `GET /openapi.json` "
        "(OpenAPI 3.1) says. [Lookups over plain HTTP](../integrate/http.md) has examples.",
    ]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}")
            parts += operation_parts(operation)
    parts.append("## Bodies")
    parts += [section(name, of) for name, of in sorted(document["components"]["schemas"].items())]
    return HEADER + "\n" + "\n\n".join(part.strip("\n") for part in parts) + "\n"


def operation_parts(operation: dict[str, Any]) -> list[str]:
    """One path and method: what it is for, what it takes, what it answers."""
    said = [operation.get("summary", ""), operation.get("description", "")]
    parts = [f"{plain(text).strip().rstrip('.')}." for text in said if text]
    if parameters := operation.get("parameters"):
        rows = [
            [f"`{each['name']}`", each["in"], kind(each.get("schema", {})),
             "yes" if each.get("required") else "", plain(each.get("description", ""))]
            for each in parameters
        ]  # fmt: skip
        parts.append(table(["parameter", "in", "type", "required", ""], rows))
    if body := operation.get("requestBody"):
        parts.append(f"Body: {content(body)}.")
    answers = operation["responses"]
    rows = [[code, plain(each["description"]), content(each)] for code, each in answers.items()]
    parts.append(table(["status", "", "body"], rows))
    return parts


def content(of: dict[str, Any]) -> str:
    """The forms of a body."""
    forms = of.get("content", {})
    return ", ".join(f"{kind(form.get('schema', {}))} as `{name}`" for name, form in forms.items())


@dataclass
class Item:
    """Something that a proto file declares, with the comment before it."""

    what: str
    name: str
    comment: str
    items: list[Item] = field(default_factory=list)


TOKEN = re.compile(r'//[^\n]*|"[^"]*"|[\w.<>,]+(?:\s*,\s*[\w.<>]+)*|[{};=()\[\]-]')


def declared(text: str) -> list[Item]:
    """What a proto file declares, nested as there."""
    stack, comment, words = [Item("file", "", "")], [], []
    for token in TOKEN.findall(text):
        if token.startswith("//"):
            comment.append(token.removeprefix("//").strip())
        elif token == "{":
            item = Item(words[0], words[1], " ".join(comment))
            stack[-1].items.append(item)
            stack.append(item)
            comment, words = [], []
        elif token == "}":
            stack.pop()
            comment, words = [], []
        elif token == ";":
            if words[0] not in ("syntax", "package", "import", "option", "reserved"):
                stack[-1].items.append(Item("field", " ".join(words), " ".join(comment)))
            comment, words = [], []
        else:
            words.append(token)
    return stack[0].items


def call(item: Item) -> list[str]:
    """A row of a service: a method, what it takes and answers."""
    form = r"rpc (\w+) \( (stream )?([\w.]+) \) returns \( (stream )?([\w.]+) \)"
    name, *ends = re.fullmatch(form, item.name).groups("")
    takes, answers = (f"{ends[at]}[{ends[at + 1]}](#{ends[at + 1].lower()})" for at in (0, 2))
    return [f"`{name}`", takes, answers, plain(item.comment)]


def field_rows(items: list[Item], names: set[str], one_of: str = "") -> list[list[str]]:
    """Rows of a message's fields; those of a oneof say so."""
    rows = []
    for item in items:
        if item.what == "oneof":
            rows += field_rows(item.items, names, item.name)
        elif item.what == "field":
            of, name, number = re.match(r"(.+) (\w+) = (-?\s?\d+)", item.name).groups()
            links = re.sub(r"\b([A-Z]\w+)", lambda m: link(m[1], names), of)
            said = f"(one of `{one_of}`) {item.comment}" if one_of else item.comment
            rows.append([number, f"`{name}`", links, plain(said)])
    return rows


def link(name: str, names: set[str]) -> str:
    return f"[{name}](#{name.lower()})" if name in names else name


def message(item: Item, names: set[str], outer: str = "") -> list[str]:
    """A message or enum, and those within it."""
    parts = [f"### {outer}{item.name}"] + ([plain(item.comment)] if item.comment else [])
    if item.what == "enum":
        values = [re.match(r"(\w+) = (\d+)", each.name).groups() for each in item.items]
        said = [plain(each.comment) for each in item.items]
        rows = [[n, f"`{name}`", text] for (name, n), text in zip(values, said, strict=True)]
        return [*parts, table(["number", "value", ""], rows)]
    rows = field_rows(item.items, names)
    parts.append(table(["number", "field", "type", ""], rows) if rows else "Has no fields.")
    nested = [each for each in item.items if each.what in ("message", "enum")]
    return parts + [part for each in nested for part in message(each, names, f"{item.name}.")]


def grpc() -> str:
    """docs/reference/grpc.md."""
    files = sorted((ROOT / "proto" / "hitherto" / "v1").glob("*.proto"))
    items = [item for path in files for item in declared(path.read_text("utf-8"))]
    services = [item for item in items if item.what == "service"]
    messages = [item for item in items if item.what in ("message", "enum")]
    names = {item.name for item in messages}
    parts = [
        "# gRPC",
        "The package `hitherto.v1`, as `proto/hitherto/v1` declares it. A server has reflection "
        "and health (`grpc.health.v1`) on the same port; training sets go by Arrow Flight's "
        "`DoExchange`, and Feast's clients by `feast.serving.ServingService`. Numbers of fields "
        "are never used again.",
    ]
    for item in services:
        rows = [call(each) for each in item.items]
        parts += [f"## {item.name}", plain(item.comment)]
        parts.append(table(["method", "takes", "answers", ""], rows))
    parts.append("## Messages")
    for item in sorted(messages, key=lambda item: item.name):
        parts += message(item, names)
    return HEADER + "\n" + "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def metrics(product: Product) -> str:
    """docs/reference/metrics.md."""
    _, scrape = product.served
    families: dict[str, dict[str, str]] = {}
    labels: dict[str, dict[str, set[str]]] = {}
    for line in scrape.splitlines():
        if match := re.match(r"# (TYPE|HELP|UNIT) (\S+) (.*)", line):
            families.setdefault(match[2], {})[match[1]] = match[3]
        elif match := re.match(r"(\w+)\{(.*)\} ", line):
            family = max((name for name in families if match[1].startswith(name)), key=len)
            for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2]):
                labels.setdefault(family, {}).setdefault(name, set()).add(value)
    rows = []
    for name, of in sorted(families.items()):
        written = name + {"counter": "_total", "info": "_info"}.get(of["TYPE"], "")
        said = plain(of.get("HELP", ""))
        rows.append([f"`{written}`", of["TYPE"], labelled(labels.get(name, {})), said])
    parts = [
        "# Metrics",
        "What a server tells at `GET /metrics`, in OpenMetrics. A histogram `x` has `x_bucket`, "
        "`x_sum` and `x_count`. Nothing here names an entity or a value. "
        "[Deploying](../operate/deploying.md#watching-it) has rules and dashboards of it.",
        table(["metric", "type", "labels", ""], rows),
    ]
    known: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for family, of in sorted(labels.items()):
        for name, values in sorted(of.items()):
            if name not in OPEN:
                known.setdefault((name, tuple(sorted(values))), []).append(f"`{family}`")
    rows = [
        [f"`{name}`", ", ".join(of), ", ".join(f"`{value}`" for value in values)]
        for (name, values), of in sorted(known.items())
    ]
    parts += ["## Values of labels", table(["label", "of", "values"], rows)]
    return HEADER + "\n" + "\n\n".join(part.strip("\n") for part in parts) + "\n"


def labelled(of: dict[str, set[str]]) -> str:
    """The names of a metric's labels."""
    return ", ".join(f"`{name}`" for name in sorted(of) if name != "le")
