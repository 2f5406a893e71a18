"""Which files an export writes: targets and precisions, from a command's text or a profile."""

from __future__ import annotations

from collections.abc import Sequence

from edge3d.errors import Edge3dError
from edge3d.export.registry import TARGETS
from edge3d.model.contract import PRECISIONS

PROJECTS = ("cpp", "web")  # a model within a project's folder


def parse_list(option: str, text: str, known: Sequence[str], every: Sequence[str]) -> list[str]:
    """Return the names of a comma list, each once; `all` stands for `every`.

    Raises:
        Edge3dError: an unknown name, or none.
    """
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if part != "all" and part not in known:
            raise Edge3dError(
                f"{option} {text}: unknown name '{part}'; choose from {', '.join(known)}, all"
            )
        names += every if part == "all" else [part]
    return list(dict.fromkeys(names))


def parse_targets(text: str) -> list[str]:
    """Return the targets of a comma list; `all` is every kind of model file.

    Raises:
        Edge3dError: an unknown target.
    """
    return parse_list("--target", text, (*TARGETS, *PROJECTS), tuple(TARGETS))


def parse_precisions(text: str) -> list[str]:
    """Return the precisions of a comma list.

    Raises:
        Edge3dError: an unknown precision.
    """
    return parse_list("--precision", text, PRECISIONS, PRECISIONS)


def check_projects(
    targets: Sequence[str], precisions: Sequence[str], outputs: Sequence[str]
) -> None:
    """Make sure that a project is exported alone, in one precision and without decoded outputs.

    Raises:
        Edge3dError: it is not; the message says which option does not fit.
    """
    for name in (name for name in targets if name in PROJECTS):
        if len(targets) > 1:
            raise Edge3dError(f"--target {name} fills a folder of its own: export it alone")
        if len(precisions) > 1:
            raise Edge3dError(f"--target {name} takes one --precision, got {', '.join(precisions)}")
        if set(outputs) - {"params"}:
            raise Edge3dError(
                f"--target {name} decodes outside the graph: leave --output {','.join(outputs)} out"
            )
