"""Configuration files: TOML checked by pydantic, for recipes and profiles alike.

A file can inherit from another one with `extends = "base.toml"`, and the command line can override
single keys with `--set section.key=value`. Sections (top-level tables) are merged key by key; the
value of a key is replaced as a whole.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from edge3d.errors import RecipeError, shortened

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTENDS = "extends"
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


class Section(BaseModel):
    """Base class of a configuration and its sections: immutable, without unknown keys or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Schema = TypeVar("Schema", bound=BaseModel)


@dataclass
class _Content:
    """Merged tables, and for each key or section of them where its value comes from."""

    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)

    def merge(self, tables: Mapping[str, Any], origin: str) -> None:
        """Put tables over those that are there: sections key by key, everything else whole."""
        for name, value in tables.items():
            self.origins[name,] = origin
            present = self.tables.get(name)
            if isinstance(value, dict) and isinstance(present, dict):
                present.update(value)
            else:
                self.tables[name] = dict(value) if isinstance(value, dict) else value
            if isinstance(value, dict):
                self.origins |= {(name, key): origin for key in value}


def load_config(
    schema: type[Schema],
    path: str | Path | None,
    overrides: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
    kind: str = "recipe",
) -> Schema:
    """Read a configuration file, apply what it extends and the overrides, and check the result.

    Args:
        schema: pydantic model of the whole file; derive it and its sections from `Section`.
        path: of the TOML file; None for the defaults and overrides alone.
        overrides: `section.key=value`, as given to `--set`. The value is TOML; what is not TOML
            is taken for a string. `section.key.name=value` sets one entry of a table.
        defaults: values that hold where neither file nor overrides have the key.
        kind: what messages call the file: "recipe", "profile".

    Raises:
        RecipeError: a file is missing, not UTF-8 or not TOML, extends itself, or a key is unknown
            or has a wrong value. The message is one line that names the file and the key.
    """
    content = _Content()
    content.merge(defaults or {}, f"{kind} (defaults)")
    if path is not None:
        for file, tables in _read_chain(Path(path), kind):
            content.merge(tables, f"{kind} {file}")
    for override in overrides:
        _apply_override(content, override, schema)
    try:
        # As JSON, strictly: a list fits a tuple and a string a path, but true is no number.
        return schema.model_validate_json(json.dumps(content.tables, default=str), strict=True)
    except ValidationError as error:
        source = f"{kind} {path}" if path is not None else f"{kind} (no file)"
        problems = dict.fromkeys(
            _problem(issue, content, source, schema) for issue in error.errors(include_url=False)
        )
        raise RecipeError("; ".join(problems)) from error


def _read_chain(path: Path, kind: str) -> list[tuple[Path, dict[str, Any]]]:
    """Return a file and those that it extends with their tables, the farthest base first."""
    chain: list[tuple[Path, dict[str, Any]]] = []
    seen: list[Path] = []
    while True:
        if path.resolve() in seen:
            names = " -> ".join(str(file) for file, _ in chain[::-1])
            raise RecipeError(
                f"{kind} {path}: {EXTENDS} leads back to this file ({names} -> {path}); remove "
                f"one {EXTENDS}"
            )
        seen.append(path.resolve())
        tables = read_toml(path, kind)
        base = tables.pop(EXTENDS, None)
        chain.insert(0, (path, tables))
        if base is None:
            return chain
        if not isinstance(base, str) or not base:
            raise RecipeError(f"{kind} {path}: {EXTENDS}: must be the name of a TOML file")
        path = path.parent / base


def read_toml(path: Path, kind: str = "recipe") -> dict[str, Any]:
    """Return the tables of a TOML file, as they stand.

    Raises:
        RecipeError: the file is missing, not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise RecipeError(f"cannot read {kind} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{kind} {path} is not UTF-8 (byte {error.start}); save it as UTF-8 text"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{kind} {path} is not TOML: {shortened(error)}") from error


def _apply_override(content: _Content, override: str, schema: type[BaseModel]) -> None:
    name, equals, text = override.partition("=")
    keys = tuple(part.strip() for part in name.split("."))
    if not equals or not all(keys) or (len(keys) == 1 and keys[0] not in schema.model_fields):
        raise RecipeError(f"--set {override}: write it as section.key=value")
    table = content.tables
    for depth, key in enumerate(keys[:-1]):
        inner = table.get(key, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: {'.'.join(keys[: depth + 1])} has no keys")
        table[key] = table = dict(inner)
    table[keys[-1]] = _override_value(text)
    content.origins[keys] = f"--set {override}"


def _override_value(text: str) -> Any:
    """Return a value written as TOML, or the text itself where it is not."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return parsed["value"] if parsed.keys() == {"value"} else text


def _problem(issue: ErrorDetails, content: _Content, source: str, schema: type[BaseModel]) -> str:
    """Return what is wrong with a key and where, in one line."""
    location = tuple(str(part) for part in issue["loc"])
    origins = (content.origins.get(location[:length]) for length in range(len(location), 0, -1))
    origin = next((origin for origin in origins if origin), source)
    message = issue["msg"].removeprefix("Value error, ")
    if issue["type"] in _UNKNOWN_KEY:
        near = difflib.get_close_matches(location[-1], _keys_beside(schema, location), 1)
        message = "unknown key" + (f"; did you mean {near[0]}?" if near else "")
    return ": ".join([origin, *([".".join(location)] if location else []), message])


def _keys_beside(schema: type[BaseModel], location: Sequence[str]) -> list[str]:
    """Return the keys that are known where an unknown one was found."""
    known: Any = schema
    for name in location[:-1]:
        inner = _fields(known).get(name)
        known = getattr(inner, "annotation", None) or getattr(inner, "type", None)
    return list(_fields(known))


def _fields(section: Any) -> Mapping[str, Any]:
    """Return the fields of a pydantic model or a dataclass by name; none of anything else."""
    found = getattr(section, "model_fields", None) or getattr(section, "__dataclass_fields__", {})
    return found if isinstance(found, Mapping) else {}


def bundled_config(name: str | Path, folder: Path, kind: str) -> Path:
    """Return the path of a configuration file given by its path or by a bundled name.

    Text with a folder or the ending .toml is a path, everything else a name.

    Args:
        name: as the user wrote it. folder: of the bundled files.
        kind: what messages call the file: "profile".

    Raises:
        RecipeError: no bundled file has this name.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.name != str(name):
        return path
    bundled = folder / f"{name}.toml"
    if not bundled.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise RecipeError(f"unknown {kind} '{name}'; known: {known}; or give a .toml file's path")
    return bundled
