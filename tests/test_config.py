from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="needs pydantic: pip install 'edge3d[cli]'")

from pydantic import Field

from edge3d.config import Section, load_config
from edge3d.errors import RecipeError


class Budget(Section):
    size_mb: float = 1.0
    names: tuple[str, ...] = ()
    file: Path = Path("x")


class Options(Section):
    count: int = 1
    shares: dict[str, float] = Field({})
    quiet: bool = False


class Profile(Section):
    title: str = "none"
    options: Options = Options()
    budget: Budget = Budget()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_overrides_win_over_the_file_and_the_file_over_its_base(tmp_path: Path) -> None:
    write(tmp_path / "base.toml", 'title = "base"\n[options]\ncount = 2\nshares = { a = 1, b = 2 }')
    write(tmp_path / "sub/middle.toml", 'extends = "../base.toml"\n[budget]\nnames = ["x", "y"]')
    top = write(tmp_path / "top.toml", 'extends = "sub/middle.toml"\n[options]\nshares = { b = 3 }')
    found = load_config(Profile, top, ["budget.size_mb=7", "budget.file=some where/é"])
    assert found.title == "base"
    assert found.options == Options(count=2, shares={"b": 3.0})  # a key's value is replaced whole
    assert found.budget == Budget(size_mb=7, names=("x", "y"), file=Path("some where/é"))


def test_an_entry_of_a_table_and_a_top_level_key_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", "[options]\nshares = { a = 1, b = 2 }")
    found = load_config(Profile, path, ["options.shares.b=5", "title=t = u", "options.quiet=true"])
    assert found.options.shares == {"a": 1, "b": 5}
    assert found.title == "t = u" and found.options.quiet


def test_defaults_are_the_weakest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", "[options]\ncount = 4")
    defaults = {"options": {"count": 9, "quiet": True}}
    assert load_config(Profile, path, defaults=defaults).options == Options(count=4, quiet=True)
    assert load_config(Profile, None, defaults=defaults).options.count == 9
    assert defaults == {"options": {"count": 9, "quiet": True}}


def test_a_file_that_extends_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.toml", 'extends = "b.toml"')
    write(tmp_path / "b.toml", 'extends = "./a.toml"')
    with pytest.raises(RecipeError, match=r"a\.toml: extends leads back .*b\.toml -> .*a\.toml"):
        load_config(Profile, tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[options", r"profile .*x\.toml is not TOML"),
        (b"a = " + b"[" * 5000, r"x\.toml is not TOML"),
        (b"a = " + b"9" * 5000, r"x\.toml is not TOML"),
        ("title = 'ü'".encode("latin-1"), r"x\.toml is not UTF-8 \(byte 9\)"),
        (b"extends = 3", r"x\.toml: extends: must be the name"),
        (b"extends = 'gone.toml'", r"cannot read profile .*gone\.toml: No such file"),
        (b"extends = '.'", "cannot read profile .*: Is a directory"),
        (b"[options]\ncuont = 1", r"x\.toml: options\.cuont: unknown key; did you mean count\?"),
        (b"[optoins]\ncount = 1", r"x\.toml: optoins: unknown key; did you mean options\?"),
        (b"options = 3", r"x\.toml: options: .*object"),
        (b"[options]\ncount = true", r"x\.toml: options\.count: .*valid integer"),
        (b"[options]\ncount = '3'", r"x\.toml: options\.count: .*valid integer"),
        (b"[budget]\nsize_mb = nan", r"x\.toml: budget\.size_mb: .*finite"),
        (b"[budget]\nsize_mb = 1e999", r"x\.toml: budget\.size_mb: .*finite"),
        (b"[options.shares]\na = inf", r"x\.toml: options\.shares\.a: .*finite"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_config(Profile, path, kind="profile")
    assert "\n" not in str(caught.value)


def test_the_place_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    write(tmp_path / "base.toml", "[options]\ncount = 'many'")
    top = write(tmp_path / "top.toml", "extends = 'base.toml'\n[budget]\nsize_mb = 'x'")
    with pytest.raises(RecipeError) as caught:
        load_config(Profile, top, ["options.quiet=maybe"])
    first, second, third = str(caught.value).split("; ")
    assert first.startswith(f"recipe {tmp_path / 'base.toml'}: options.count: ")
    assert second.startswith("--set options.quiet=maybe: options.quiet: ")
    assert third.startswith(f"recipe {top}: budget.size_mb: ")


@pytest.mark.parametrize("override", ["count=3", "options.count", "=3", ".count=3", "options.=3"])
def test_an_override_that_names_no_key_is_refused(override: str) -> None:
    with pytest.raises(RecipeError, match=r"write it as section\.key=value"):
        load_config(Profile, None, [override])
    with pytest.raises(RecipeError, match=r"options\.count has no keys"):
        load_config(Profile, None, ["options.count=3", "options.count.x=1"])
