"""The notebooks for Colab: those of the chapters, without raw directives, running by themselves."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import colab
import nbformat
import pytest
import torch
from filelock import FileLock

from ddpm_lite.symbolic.page import equations_of

ROOT = Path(__file__).parents[2]
NAMES = [page.stem for page in colab.chapters()]
SITE = ROOT / "_build" / "html" / "book"


def load(name: str) -> Any:
    return nbformat.read(ROOT / "book" / "colab" / f"{name}.ipynb", 4)  # type: ignore[no-untyped-call]


def prose(name: str) -> str:
    text = "\n\n".join(c.source for c in load(name).cells if c.cell_type == "markdown")
    return re.sub(r"```.*?```", "", text, flags=re.S)


def test_the_committed_notebooks_are_those_of_the_chapters() -> None:
    assert colab.main(["--check"]) == 0, "run `make colab`"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_valid_and_has_no_outputs(name: str) -> None:
    notebook = load(name)
    nbformat.validate(notebook)
    assert all(not c.get("outputs") for c in notebook.cells)
    assert len({c.id for c in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_no_raw_directive_role_or_comment_is_left(name: str) -> None:
    left = re.findall(r"\{[a-z:-]+\}`|^:::|^`{3,}\{|^% |^:[a-z]+:|\{solution", prose(name), re.M)
    assert left == []


@pytest.mark.parametrize("name", NAMES)
def test_the_code_is_that_of_the_chapter(name: str) -> None:
    """So it runs as the chapter does, which `make book` has seen: see tools/run_chapters.py."""
    cells = [c.source for c in load(name).cells if c.cell_type == "code"]
    of_the_chapter = [re.sub(r"\A#@title .*\n", "", cell) for cell in cells]
    text = (ROOT / "book" / f"{name}.md").read_text()
    wanted = [match["code"].strip() for match in colab.CELL.finditer(text)]
    assert of_the_chapter[-len(wanted) :] == wanted
    extra = [cell.split()[0] for cell in cells[: -len(wanted)]]
    assert extra == ["#@title", *["%%writefile"] * (len(extra) - 1)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_pins_torch_or_numpy(name: str) -> None:
    installs = [c.source for c in load(name).cells if "%pip" in c.source]
    assert len(installs) == 1
    assert not re.search(r"torch|numpy|==", installs[0])


@pytest.mark.parametrize("name", NAMES)
def test_equations_have_the_numbers_of_the_book(name: str) -> None:
    page = SITE / f"{name}.html"
    if not page.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the book is not built")
        pytest.skip("the book is not built; `make book` builds it")
    shown = dict(
        re.findall(
            r'id="equation-(eq-[a-z0-9-]+)">\s*<span class="eqno">\(([\d.]+)\)', page.read_text()
        )
    )
    displayed = equations_of((ROOT / "book" / f"{name}.md").read_text())
    assert len(shown) == len(displayed)
    assert {label: colab.numbers()[label] for label in shown} == shown


@pytest.mark.parametrize("name", NAMES)
def test_figures_have_the_numbers_of_the_book(name: str) -> None:
    page = SITE / f"{name}.html"
    if not page.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the book is not built")
        pytest.skip("the book is not built; `make book` builds it")
    numbered = r'<figure[^>]* id="(fig-[a-z0-9-]+)">.*?caption-number">Fig\. ([\d.]+)'
    shown = dict(re.findall(numbered, page.read_text(), re.S))
    assert shown
    assert {label: colab.numbers()[label] for label in shown} == shown


# --- The reader's own network --------------------------------------------------------------------


def test_the_network_of_chapter_7_is_a_module_of_its_own() -> None:
    """A later chapter's notebook begins without chapter 7, and yet has the network built there."""
    names: dict[str, Any] = {}
    exec(colab.my_unet(), names)
    assert "print(" not in colab.my_unet()
    torch.manual_seed(0)
    net = names["SmallUNet"]()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x, t, label = torch.randn(2, 1, 28, 28), torch.tensor([1, 1000]), torch.tensor([3, 10])
    said = net(x, t, label)
    assert said.shape == x.shape
    assert not torch.equal(said, net(x, t.flip(0), label))
    assert not torch.equal(said, net(x, t, torch.tensor([4, 10])))


# --- Running them --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel, unpacked away from the checkout; one for all processes of a run.

    Building writes into the checkout, so that two at the same time would be in each other's way.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheel"
    with FileLock(f"{folder}.lock"):
        if not (folder / "site").is_dir():
            make_wheel(folder)
    return folder / "site"


def make_wheel(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    target = ["install", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run([*pip, *target], check=True, capture_output=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["02_markov_chains", "09_sampling"])
def test_it_runs_without_a_checkout(name: str, wheel_folder: Path, tmp_path: Path) -> None:
    """From start to end, in an empty folder, with nothing of the repository but the wheel.

    Two speak for all, one that proves and one that reads tables and draws: the cells of the others
    run in the same way while the book is built, and only the first ones are the notebooks' own.
    """
    notebook = load(name)
    check = "import ddpm_lite\nassert '/site/' in ddpm_lite.__file__, ddpm_lite.__file__"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(check))  # type: ignore[no-untyped-call]
    path = tmp_path / "run.ipynb"
    path.write_text(json.dumps(notebook))
    run = [
        sys.executable,
        "-m",
        "nbconvert",
        "--execute",
        "--to",
        "notebook",
        "--stdout",
        str(path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(wheel_folder), "MPLBACKEND": "agg"}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, timeout=900)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
