"""Makes the reference pages of the site: command line, contract, parameters, recipes, cards."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from edge3d.bundled import default_model_path
from edge3d.model import contract as contract_module
from edge3d.model.parameters import ParameterLayout
from edge3d.runtime import read_contract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CARDS = (
    "edge3d/assets/student-050.md",
    "train/weights/student-025.md",
    "train/weights/student-100.md",
    "train/weights/teacher-separable.md",
)


def command_line() -> str:
    """Return the reference of the `edge3d` command, by typer's own generator."""
    command = [sys.executable, "-m", "typer", "edge3d.cli.app", "utils", "docs"]
    made = subprocess.run(
        [*command, "--name", "edge3d", "--title", "Command line"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def contract() -> str:
    """Return the reference of the model contract: each field, and the bundled model's own."""
    lines = [
        "# Model contract",
        "",
        _paragraphs(contract_module.__doc__),
        "",
        f"The JSON below `{contract_module.METADATA_KEY}` in the file's metadata. "
        f"The schema is number {contract_module.SCHEMA}.",
        "",
    ]
    for title, kind in (
        ("The contract", contract_module.ModelContract),
        ("input", contract_module.InputSpec),
        ("crop", contract_module.CropRule),
        ("outputs", contract_module.OutputSpec),
        ("parameters", ParameterLayout),
    ):
        lines += [f"## {title}", "", *_fields(kind), ""]
    content = json.loads(read_contract(default_model_path()).to_json())
    for name in ("mean", "std"):
        values = content["parameters"][name]
        content["parameters"][name] = [*values[:2], f"... {len(values)} numbers"]
    content["provenance"] = {"...": "recipe, data, metrics, licence"}
    lines += [
        "## Example",
        "",
        "The bundled model's contract, shortened (`edge3d info --json FILE` prints all of it):",
        "",
        "```json",
        json.dumps(content, indent=1),
        "```",
    ]
    return "\n".join(lines)


def _paragraphs(text: str | None) -> str:
    return inspect.cleandoc(text or "")


def _fields(kind: type) -> list[str]:
    """Return a dataclass's fields as a table, from its docstring's `Attributes`."""
    text = inspect.cleandoc(kind.__doc__ or "")
    intro, _, rest = text.partition("Attributes:")
    defaults = {
        f.name: f.default
        for f in dataclasses.fields(kind)
        if f.default is not dataclasses.MISSING and not dataclasses.is_dataclass(f.default)
    }
    lines = [_indented_as_code(intro).strip(), "", "| field | default | |", "|---|---|---|"]
    for names, meaning in re.findall(r"^\s+([\w, ]+): (.*(?:\n\s{8,}.*)*)", rest, re.MULTILINE):
        first = names.split(",")[0].strip()
        default = f"`{defaults[first]}`" if first in defaults else ""
        shown = ", ".join(f"`{name.strip()}`" for name in names.split(","))
        lines.append(f"| {shown} | {default} | {_cell(' '.join(meaning.split()))} |")
    return lines


def _indented_as_code(text: str) -> str:
    """Return a docstring's text with its indented definitions as a list."""
    joined = re.sub(r"\n {8,}(?=\S)", " ", text)
    return re.sub(r"\n {4}(?=`)", "\n\n- ", joined)


def parameters() -> str:
    """Return the page of the parameter layout, from the bundled model."""
    layout = read_contract(default_model_path()).layout
    lines = [
        "# Parameter layout",
        "",
        _indented_as_code(inspect.cleandoc(ParameterLayout.__doc__ or "").split("Attributes:")[0]),
        "",
        f"The bundled model: camera `{layout.camera}`, {layout.size} parameters.",
        "",
        "| slice | first | last | number |",
        "|---|---|---|---|",
    ]
    for name, (start, stop) in layout.slices.items():
        lines.append(f"| `{name}` | {start} | {stop - 1} | {stop - start} |")
    return "\n".join(lines)


def recipes() -> str:
    """Return the table of the training recipes, from their TOML files."""
    lines = [
        "# Recipes",
        "",
        "One row a file of `train/`. The head of each file has its command.",
        "",
        "| recipe | trains | starts from | steps | batch | samples, million | learning rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted((ROOT / "train").glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
        train = content.get("train", {})
        if "steps" not in train or "batch" not in train:
            continue
        start = re.search(r"model\.init=(\S+)", text)
        name = content.get("model", {}).get("name", "")
        samples = train["steps"] * train["batch"] / 1e6
        lines.append(
            f"| `{path.name}` | {name} | {f'`{start[1]}`' if start else 'nothing'} "
            f"| {train['steps']:,} | {train['batch']} | {samples:.2f} "
            f"| {train.get('learning_rate', '')} |"
        )
    for path in sorted((ROOT / "train").glob("*.toml")):
        lines += ["", f"## {path.stem}", "", *_recipe_head(path)]
    return "\n".join(lines)


def _recipe_head(path: Path) -> list[str]:
    """Return what the comment at a recipe's head says: prose, and the command as code."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line.removeprefix("#").removeprefix(" ") for line in lines[:end]]
    command = [line.strip() for line in head if line.startswith("  ")]
    prose = [line for line in head if not line.startswith("  ")]
    code = ["", "```sh", *command, "```"]
    return [*prose, *code] if command and command[0].startswith(("edge3d", "python")) else head


def cards() -> str:
    """Return all model cards as one page, each a section."""
    texts = [(ROOT / card).read_text(encoding="utf-8") for card in CARDS]
    lowered = [re.sub(r"^#", "##", text, flags=re.MULTILINE) for text in texts]
    lead = "What each network was trained on and reached. Written by `python -m tools.model_card`."
    return "\n\n".join(["# Model cards", lead, *lowered])
