"""What is written in YAML: definitions, by their JSON Schema, and `hitherto.yaml`."""

from __future__ import annotations

import json
import re
from typing import Any

from product import HEADER, Product, plain, table

Schema = dict[str, Any]


def kind(schema: Schema | bool) -> str:
    """The type of a value: a link where it has fields of its own."""
    if isinstance(schema, bool) or not schema:
        return "anything"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{constant(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(kind(each) for each in options if each != {"type": "null"})
    types = schema.get("type", "anything")
    types = [each for each in ([types] if isinstance(types, str) else types) if each != "null"]
    return " or ".join(one(each, schema) for each in types)


def constant(value: Any) -> str:
    """A value as YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)


def one(name: str, schema: Schema) -> str:
    """A type by its name, with what bounds it."""
    if name == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if name == "object" and (of := schema.get("additionalProperties")):
        return f"names to {kind(of)}"
    if pattern := schema.get("pattern"):
        return f"{name}, `{pattern}`"
    return name


def fields(schema: Schema) -> str:
    """The fields of an object: those that must be there are marked."""
    required = schema.get("required", [])
    rows = []
    for name, of in schema.get("properties", {}).items():
        said = of.get("description", "") if isinstance(of, dict) else ""
        if isinstance(of, dict) and of.get("default") not in (None, {}, []):
            said += f" Otherwise `{json.dumps(of['default'])}`."
        rows.append([f"`{name}`", kind(of), "yes" if name in required else "", plain(said)])
    return table(["field", "type", "required", ""], rows)


def section(name: str, schema: Schema, level: int = 3) -> str:
    """A named part of a schema."""
    parts = [f"{'#' * level} {name}", plain(" ".join(schema.get("description", "").split()))]
    if schema.get("properties"):
        parts.append(fields(schema))
    elif variants := [each for each in schema.get("oneOf", []) if "const" in each]:
        rows = [[f"`{each['const']}`", plain(each.get("description", ""))] for each in variants]
        parts.append(table(["value", ""], rows))
    else:
        parts.append(f"Written as: {kind(schema)}.")
    return "\n\n".join(part.strip("\n") for part in parts if part)


def definitions(product: Product) -> str:
    """docs/reference/definitions.md."""
    schema = json.loads(product.run("schema"))
    parts = [
        "# Definitions",
        "A repository's definitions are YAML files in its folder, at any depth, of one or more "
        "documents each. A document is one of the kinds below. This is the JSON Schema that "
        "`hitherto schema` prints, for people; an editor that is given it completes and checks "
        "definitions while they are written. What only the whole repository can tell, such as "
        "whether an entity is there, `hitherto plan` says.",
        "A field that is not required can be left out. Durations are written `90m`, `12h`, `7d`, "
        "sizes `512MiB`.",
    ]
    for each in schema["oneOf"]:
        of = each["properties"]
        parts.append(f"## {each['title']}")
        parts.append(fields(each).strip())
        spec = of["spec"]["$ref"].rpartition("/")[2]
        parts.append(section(spec, schema["$defs"].pop(spec)))
    parts.append("## Parts")
    parts += [section(name, of) for name, of in sorted(schema["$defs"].items())]
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def settings(template: str) -> list[tuple[str, str, str]]:
    """The settings of a commented `hitherto.yaml`: name, default, what is said of it."""
    found, said, parent = [], [], ""
    for line in template.splitlines():
        if match := re.match(r"#( *)(\w+):(?: (.*))?$", line):
            indent, name, default = match.groups()
            parent = parent if indent else ""
            if default is None:
                parent = f"{name}."
            else:
                found.append((f"{parent}{name}", default, " ".join(said)))
            said = [] if default is None else said
        elif match := re.match(r" *# (.*)", line):
            said.append(match[1])
        elif not line.strip():
            said = []
    return found


def configuration(product: Product) -> str:
    """docs/reference/configuration.md."""
    found = settings(product.settings)
    rows = [[f"`{name}`", f"`{default}`", plain(said)] for name, default, said in found]
    parts = [
        "# hitherto.yaml",
        "How Hitherto runs over a repository: one file in its folder, of which every setting can "
        "be left out. `hitherto init` writes it with all of them; a misspelt one stops the "
        "process before anything is opened. A server reads it when it starts. `null` is: not set.",
        table(["setting", "default", ""], rows).strip(),
        "A setting with a dot stands below the word before it:",
        "```yaml\ncache: 2GiB\nserver:\n  listen: 127.0.0.1:7411\n  drainSeconds: 30\n```",
        "Flags and variables of the environment go before it: "
        "[the command line](cli.md#hitherto-serve).",
    ]
    return HEADER + "\n" + "\n\n".join(parts) + "\n"
