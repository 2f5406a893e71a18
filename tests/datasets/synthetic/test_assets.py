from __future__ import annotations

from pathlib import Path

import pytest

from edge3d.datasets.synthetic.assets import load_assets
from edge3d.errors import DatasetError
from tests.datasets.synthetic.small_assets import write_small_assets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small_assets(tmp_path / "assets")


def test_every_used_file_has_its_licence(folder: Path) -> None:
    assets = load_assets(folder)
    assert {p.kind for part in assets.parts.values() for p in part} == set(assets.parts)
    assert assets.licences["skins/plain.png"]["licence"] == "CC0-1.0"
    assert "env.npz#grey" in assets.licences
    assert assets.credits() == []


def test_an_asset_that_wants_credit_is_named(folder: Path) -> None:
    path = folder / "licences.csv"
    path.write_text(
        path.read_text().replace("plain.png,small,edge3d,CC0-1.0", "plain.png,Oak,Ann,CC-BY-4.0")
    )
    assert load_assets(folder).credits() == ["Oak by Ann (CC-BY-4.0), tests"]


def test_a_folder_without_assets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no licences\.csv; name one by data\.assets"):
        load_assets(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("parts/hair_one.npz,small", "parts/other.npz,small"), "no row for parts/hair_one.npz"),
        (("hair_one.png,small,edge3d,CC0-1.0", "hair_one.png,s,e,CC-BY-NC-4.0"), "CC-BY-NC-4.0"),
        (("file,name,author", "file,name,writer"), "no columns file, name, author"),
    ],
)
def test_a_missing_or_unfree_licence_is_refused(
    folder: Path, change: tuple[str, str], reason: str
) -> None:
    path = folder / "licences.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DatasetError, match=reason):
        load_assets(folder)


def test_a_missing_or_damaged_file_is_named(folder: Path) -> None:
    (folder / "parts" / "teeth_one.npz").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"teeth_one\.npz is no part for hm08"):
        load_assets(folder)
    (folder / "parts" / "teeth_one.npz").unlink()
    with pytest.raises(DatasetError, match=r"teeth_one\.npz is missing"):
        load_assets(folder)
    (folder / "env.npz").write_bytes(b"")
    (folder / "skins" / "plain.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"plain\.png is no 8-bit colour image"):
        load_assets(folder)
