"""Numbers of measured files by name."""

import json
from pathlib import Path

import pytest

from ddpm_lite import measured
from ddpm_lite.measured import ASSETS, number

ROWS = [
    {"sampler": "ancestral, beta", "steps": 20, "frechet": 11.405},
    {"sampler": "ancestral, beta", "steps": 50, "frechet": 8.127},
    {"sampler": "ddim", "steps": 20, "frechet": 4.25},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = {
        "n": 12000,
        "share": 0.0415,
        "rows": ROWS,
        "deep": {"list": [1, [2, 3]]},
        "name": "x",
        "loss": -0.0752,
    }
    (tmp_path / "run.json").write_text(json.dumps(whole))
    (tmp_path / "steps.jsonl").write_text('{"loss": 0.5}\n{"loss": 0.125}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("run.n:,", "12,000"),
        ("run.n/60:.0f", "200"),
        ("run.share*100:.1f", "4.2"),
        ("run.share:.2%", "4.15%"),
        ("run.deep.list.1.0:d", "2"),
        ("run.deep.list.-1.-1:d", "3"),
        ("run.rows[sampler=ancestral, beta & steps=50].frechet:.1f", "8.1"),
        ("run.rows[steps=50.0].frechet:.2f", "8.13"),
        ("steps.-1.loss:.3f", "0.125"),
        ("run.loss:.2f", "\N{MINUS SIGN}0.08"),
        ("run.loss:.0f", "0"),
        ("run.loss/100:.0%", "0%"),
    ],
)
def test_the_number_is_that_of_the_file(folder: Path, spec: str, shown: str) -> None:
    assert number(spec, [folder]) == shown


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("run.n", "is not file.path:format"),
        ("other.n:d", "there is no measured file 'other'"),
        ("run.m:d", "there is no 'm' in: n, share, rows, deep, name"),
        ("run.rows.7.steps:d", "there is no '7' in: list"),
        ("run.rows[steps=20].frechet:.1f", "2 rows have steps=20"),
        ("run.rows[steps=21].frechet:.1f", "0 rows have steps=21"),
        ("run.name:s", "is no number but str"),
        ("run.share:d", "Unknown format code 'd'"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, spec: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as told:
        number(spec, [folder])
    assert complaint in str(told.value)


def test_the_package_has_its_evaluation() -> None:
    stored = json.loads((ASSETS / "mnist_evaluation.json").read_text())["bits_per_dim"]
    assert number("mnist_evaluation.bits_per_dim:.4f") == f"{stored:.4f}"


def test_the_examples_of_the_description_are_real() -> None:
    folders = (ASSETS, Path(__file__).parents[1] / "book" / "data")
    examples = [line for line in (measured.__doc__ or "").splitlines() if line.startswith("    ")]
    assert len(examples) == 4
    for spec in examples:
        assert float(number(spec, folders)) > 0
