"""MkDocs hook: the reference pages, made of the code itself, so that they cannot fall behind it.

``reference/config.md`` from the pydantic models, ``commands.md`` from the Typer app, ``artifacts.md`` from the Parquet
schemas; ``python/`` has a page for each package of ``aligncap/``: the modules whose docstrings mkdocstrings reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import typer
from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import aligncap
from aligncap.artifacts import SCHEMAS
from aligncap.config import AlignCapConfig
from aligncap.serving.cli import app

PACKAGE = Path(aligncap.__file__).parent
REFERENCE = "Reference"  # where the pages of the packages go


def cell(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


# Configuration


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a type holds: itself, or the one in ``Section | None`` or ``dict[str, Section]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_of(part))), None)


def type_in_words(field: FieldInfo) -> str:
    """``int``, ``"a" or "b"``, with bounds."""
    named = re.sub(r"aligncap\.[\w.]+\.|typing\.|<class '(\w+)'>", r"\1", str(field.annotation))
    named = re.sub(r"Annotated\[(\w+), [^\]]*\]\)?\]", r"\1", named)
    named = re.sub(r"Literal\[([^\]]*)\]", lambda m: m[1].replace(", ", " or ").replace("'", ""), named)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(m, name)}" for m in field.metadata for name, sign in signs.items() if hasattr(m, name)]
    return f"`{cell(named)}`" + (f", {', '.join(bounds)}" if bounds else "")


def default_in_words(key: str, field: FieldInfo, default: BaseModel | None) -> str:
    """The value that a key has when it is left out; a dash where it must be given."""
    value = field.default if default is None else getattr(default, key)
    return "—" if value is PydanticUndefined else f"`{cell(str(value))}`"


def sections(
    model: type[BaseModel], name: str, seen: dict[type[BaseModel], str], default: BaseModel | None
) -> Iterator[str]:
    """A heading and a table of a section, then of those inside it that no section ``seen`` is like.

    ``default`` is the section in the default experiment; None of entries, which have the defaults of their keys.
    """
    about = " ".join((model.__doc__ or "").split())
    rows, inner = [], []
    for key, field in model.model_fields.items():
        section = model_of(field.annotation)
        if section is not None:
            entries = "dict[" in str(field.annotation)
            path = f"{name}.{key}".lstrip(".") + (".{name}" if entries else "")
            if section not in seen:
                value = getattr(default, key, None)
                inner.append((section, path, value if isinstance(value, BaseModel) else None))
            shown = seen.setdefault(section, path)
            meaning = f"[`{shown}`](#{slugify(shown, '-')})" + (
                f": {cell(field.description)}" if field.description else ""
            )
            rows.append([f"`{key}`", "entries" if entries else "section", "", meaning])
        else:
            meaning = cell(field.description or "")
            rows.append([f"`{key}`", type_in_words(field), default_in_words(key, field, default), meaning])
    yield f"## {f'`{name}`' if name else 'Top level'}\n\n{about}\n\n"
    yield table(["key", "type", "default", "meaning"], rows)
    for section, path, value in inner:
        yield from sections(section, path, seen, value)


def config_page() -> str:
    """Every key of the configuration."""
    head = (
        "# Configuration\n\nAn overlay of `experiments/` changes some keys; the others have the defaults below, which "
        "are those of `config.yaml`. A section that stands in several places is shown once, with the defaults of the "
        "place that its heading names. An unknown key is an error.\n\n"
    )
    return head + "".join(sections(AlignCapConfig, "", {}, AlignCapConfig()))


# Commands


def commands_page() -> str:
    """Every command with its options, as ``--help`` has them."""
    group = typer.main.get_command(app)
    parts = ["# Commands\n\nAs `aligncap COMMAND --help` prints them; [api.md](../api.md) says how they are used.\n\n"]
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        context = command.make_context(f"aligncap {name}", [], resilient_parsing=True)
        usage = command.get_usage(context).removeprefix("Usage: ")
        about, _, examples = (command.help or "").partition("\b\n")
        about = re.sub(r"\s*\n\s*", "\n\n", about.strip())
        parts.append(f"## {name}\n\n{about}\n\n```text\n{usage}\n```\n\n")
        if examples:
            lines = [line.strip() for line in examples.strip().splitlines()][1:]
            parts.append("```sh\n" + "\n".join(lines) + "\n```\n\n")
        rows = []
        for parameter in command.params:
            said = cell(getattr(parameter, "help", None) or "")
            default = "" if parameter.default in (None, False) or callable(parameter.default) else parameter.default
            named = ", ".join([*parameter.opts, *parameter.secondary_opts])
            rows.append([f"`{named}`", f"`{cell(str(default))}`" if default not in ("", [], ()) else "", said])
        parts.append(table(["argument or option", "default", "meaning"], rows))
    return "".join(parts)


# Artifacts


def artifacts_page() -> str:
    """The columns of every Parquet artifact."""
    parts = [
        "# Artifacts\n\nEvery Parquet file of `results/{experiment}` opens with `pandas.read_parquet`. "
        "Its metadata name its schema (`aligncap.schema`) and the rule that made it (`aligncap.rule`).\n\n"
    ]
    for name, schema in sorted(SCHEMAS.items()):
        parts.append(f"## `{name}`\n\n" + table(["column", "type", "unit", "meaning"], columns(schema)))
    return "".join(parts)


def columns(schema: Any, prefix: str = "") -> list[list[str]]:
    """Rows of a schema's table; fields of a struct stand below it."""
    rows = []
    for field in schema:
        told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        nested = field.type.value_type if pa.types.is_list(field.type) else field.type
        kind = "list of struct" if pa.types.is_struct(nested) and nested is not field.type else str(field.type)
        kind = kind.replace("element: ", "").replace(" not null", "") + (", or null" if field.nullable else "")
        rows.append([f"`{prefix}{field.name}`", cell(kind), told.get("unit", ""), cell(told.get("meaning", ""))])
        if pa.types.is_struct(nested):
            rows += columns(nested, f"{prefix}{field.name}.")
    return rows


# Python


def packages() -> dict[str, list[str]]:
    """Package below ``aligncap`` -> its modules, dotted; those that lie in ``aligncap`` itself under its own name."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if dotted != PACKAGE.name:
            home = parts[1] if len(parts) > 2 else PACKAGE.name
            found.setdefault(home, []).append(dotted)
    return dict(sorted(found.items()))


def python_page() -> str:
    """What ``from aligncap import …`` gives, and the packages."""
    rows = []
    for name in aligncap.__all__:
        thing = getattr(aligncap, name)
        rows.append([f"[`{name}`][{thing.__module__}.{name}]", cell((thing.__doc__ or "").partition("\n")[0])])
    inside = "".join(f"- [`{dotted_package(name)}`]({name}.md)\n" for name in packages())
    head = "# Python\n\nWhat `from aligncap import …` gives; [The shell and Python](../../api.md) has examples.\n\n"
    return head + table(["name", ""], rows) + "The modules, by package:\n\n" + inside


def dotted_package(name: str) -> str:
    """``aligncap.clues`` of ``clues``."""
    return name if name == PACKAGE.name else f"{PACKAGE.name}.{name}"


def package_page(modules: list[str], name: str) -> str:
    """The modules of a package."""
    return f"# `{name}`\n\n" + "".join(f"::: {module}\n\n" for module in modules)


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown."""
    made = {
        "reference/config.md": config_page(),
        "reference/commands.md": commands_page(),
        "reference/artifacts.md": artifacts_page(),
        "reference/python/index.md": python_page(),
    }
    for package, modules in packages().items():
        made[f"reference/python/{package}.md"] = package_page(modules, dotted_package(package))
    return made


# What MkDocs calls


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the nav with the packages."""
    modules = [f"reference/python/{name}.md" for name in ("index", *packages())]
    for title, pages_of in (entry for part in config.nav or [] if isinstance(part, dict) for entry in part.items()):
        if title == REFERENCE:
            pages_of.append({"Python": modules})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
