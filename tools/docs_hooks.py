"""MkDocs hooks: pages of the site that are made from the code and from the repository's files.

No page of the site repeats what stands elsewhere: the command line comes from typer, the contract
from a model file, the recipes from their TOML, and README, CHANGELOG and the like from the root.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools import docs_pages

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY_PAGES = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "learn/train.md": "train/README.md",
    "reference/profiles.md": "export/README.md",
    "reference/calibration.md": "calibration/README.md",
}
MADE_PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": docs_pages.command_line,
    "reference/contract.md": docs_pages.contract,
    "reference/parameters.md": docs_pages.parameters,
    "reference/recipes.md": docs_pages.recipes,
    "results/cards.md": docs_pages.cards,
}
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    pages = {place: make() for place, make in MADE_PAGES.items()}
    for place, source in REPOSITORY_PAGES.items():
        pages[place] = _moved((ROOT / source).read_text(encoding="utf-8"), source, place)
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def _moved(text: str, source: str, place: str) -> str:
    """Return a file's text with its relative links right where the site has it."""
    sites = {original: page for page, original in REPOSITORY_PAGES.items()}

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (ROOT / source).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
        page = sites.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if path in docs_pages.CARDS:
            page, anchor = "results/cards.md", f"#{Path(path).stem}"
        if page is None:
            return f"{label[1:-1]} (`{path}`)" if label[1:-1] != path else f"`{path}`"
        depth = place.count("/")
        return f"{label}({'../' * depth}{page}{anchor})"

    return LINK.sub(link, text)


INCLUDE = re.compile(r"<!-- include (\S+) (\w+) -->")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Put in what `<!-- include FILE NAME -->` names, and links to files beside docs/."""

    def included(match: re.Match[str]) -> str:
        name, mark = match[1], match[2]
        text = (ROOT / name).read_text(encoding="utf-8")
        _, start, rest = text.partition(f"<!-- {mark} -->")
        part, stop, _ = rest.partition(f"<!-- end of {mark} -->")
        if not (start and stop):
            raise ValueError(f"{name} has no part between <!-- {mark} --> and its end")
        return _moved(part.strip(), name, page.file.src_uri)

    text = INCLUDE.sub(included, markdown)
    if page.file.src_uri in REPOSITORY_PAGES:
        return text
    return _moved(text, f"docs/{page.file.src_uri}", page.file.src_uri)
