"""Make book/colab/*.ipynb from the chapters: `python tools/colab.py`, or `make colab`.

Each chapter becomes a notebook without outputs that reads well in Colab and runs by itself: plain
Markdown, the book's numbers of equations, exercises and figures, folded solutions. A first cell
installs the package where it is missing. A second one writes the chapter's equations to a file of
the chapter's name, since `check` reads them from the page. `--check` writes nothing and fails where
a notebook differs from its chapter.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import Entry, parse_file

from ddpm_lite.measured import ASSETS, number
from ddpm_lite.symbolic.page import equations_of

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"
HEADER = re.compile(r"\A---\n.*?\n---\n", re.S)
CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:---\n(?P<yaml>.*?)\n---\n|(?P<colons>(?::[^\n]*\n)*))(?P<code>.*?)^```$",
    re.M | re.S,
)
BLOCK = re.compile(
    r"^(?P<fence>`{3,})\{(?P<name>[a-z-]+)\} ?(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=fence)$",
    re.M | re.S,
)
OPTIONS = re.compile(r"\A(?::(?P<first>[a-z-]+):[^\n]*\n)*")
DISPLAY = re.compile(r"^\$\$\n(?P<latex>.*?)\n\$\$ \((?P<label>[^)]*)\)$", re.M | re.S)
MORE = "*The next section is for those who want it all; the first reading does without it.*"
"""What stands before a section that is folded in the book."""
WITH_GPU = ("08", "09", "10", "11")
"""Chapters whose cells train or draw on a GPU; the notebooks of others would hold it idle."""
MY_UNET = "my_unet"
"""The module made of cells of chapter 7, from which later chapters take the reader's network."""
ROLE = re.compile(r"\{(value|eq|cite:t|cite:p|cite|doc|numref|ref|prf:ref)\}`([^`]*)`")


def chapters() -> list[Path]:
    """The numbered chapters, in order."""
    return sorted(BOOK.glob("[0-9][0-9]_*.md"))


@cache
def address() -> tuple[str, str]:
    """Address and branch of the repository; _config.yml is the one place that names them."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    return repository["url"], repository["branch"]


# --- Numbers and names ---------------------------------------------------------------------------


@cache
def numbers() -> dict[str, str]:
    """The number of each labelled equation, figure and exercise, as in the book: chapter.count.

    The pages of chapter 0 are counted through.
    """
    found: dict[str, str] = {}
    for chapter, pages in groupby(chapters(), key=lambda page: int(page.name[:2])):
        text = "\n".join(page.read_text() for page in pages)
        labels = [e.label for e in equations_of(text)]
        figures = re.findall(r"^ *name: (fig-\S+)$", text, re.M)
        exercises = re.findall(r"^:label: (ex-\S+)$", text, re.M)
        for group in (labels, figures, exercises):
            found |= {str(label): f"{chapter}.{n}" for n, label in enumerate(group, 1)}
    return found


@cache
def title(name: str) -> str:
    """The heading of a page."""
    found = re.search(r"^# (.*)$", (BOOK / f"{name}.md").read_text(), re.M)
    return found[1] if found else name


@cache
def bibliography() -> dict[str, Entry]:
    """The book's references by key."""
    return dict(parse_file(str(BOOK / "references.bib")).entries)


def citation(key: str, textual: bool) -> str:
    """(Ho et al., 2020), linked, or Ho et al. (2020) where it is part of the sentence."""
    entry = bibliography()[key]
    names = ["".join(p.last_names) for p in entry.persons["author"]]
    who = (
        names[0]
        if len(names) == 1
        else " and ".join(names)
        if len(names) == 2
        else f"{names[0]} et al."
    )
    year, url = entry.fields["year"], entry.fields.get("url")
    text = f"{who} ({year})" if textual else f"{who}, {year}"
    return f"[{text}]({url})" if url else text


def role(match: re.Match[str]) -> str:
    """A cross reference or a measured number as plain Markdown."""
    kind, content = match[1], match[2]
    if kind == "value":
        return number(content, (ASSETS, BOOK / "data"))
    named = re.search(r"<([^>]*)>", content)
    target = named[1] if named else content
    if kind.startswith("cite"):
        cited = [citation(key.strip(), kind == "cite:t") for key in target.split(",")]
        return ", ".join(cited) if kind == "cite:t" else f"({'; '.join(cited)})"
    if kind == "doc":
        text = content.split("<")[0].strip() if "<" in content else title(target)
        return f"[{text}]({colab_url(target)})" if target[:2].isdigit() else text
    if kind == "eq":
        return f"({numbers()[target]})"
    return (
        f"Fig. {numbers()[target]}"
        if target.startswith("fig-")
        else f"exercise {numbers()[target]}"
    )


def colab_url(name: str) -> str:
    """Where Colab opens the notebook of that name."""
    url, branch = address()
    place = url.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{place}/blob/{branch}/book/colab/{name}.ipynb"


# --- Text ----------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """MyST Markdown as the Markdown that Colab and Jupyter know."""
    text = re.sub(r"^%.*\n", "", text, flags=re.M)
    text = re.sub(r"^\(([a-z0-9-]+)\)=$", r'<a id="\1"></a>', text, flags=re.M)
    text = DISPLAY.sub(lambda m: f"$$\n{m['latex']}\n\\tag{{{numbers()[m['label']]}}}\n$$", text)
    text = BLOCK.sub(block, text)
    return re.sub(r"\n{3,}", "\n\n", ROLE.sub(role, text)).strip()


def block(match: re.Match[str]) -> str:
    """A directive: exercise, solution, included code, or a box that becomes a quotation."""
    name, heading = match["name"], match["title"].strip()
    head = OPTIONS.match(match["body"])
    options = dict(re.findall(r"^:([a-z-]+): ?(.*)$", head[0] if head else "", re.M))
    body = plain(match["body"][head.end() if head else 0 :])
    if name == "exercise":
        number = numbers()[options["label"]]
        return f"**Exercise {number}{f' ({heading})' if heading else ''}.** {body}"
    if name == "solution":
        return folded("Solution", body)
    if name == "rst-class":
        return MORE
    if name == "literalinclude":
        return included(heading, options)
    lead = heading if name == "admonition" else name.capitalize()
    if "dropdown" in options.get("class", ""):
        return folded(lead, body)
    return "\n".join(f"> {line}".rstrip() for line in f"**{lead}.** {body}".splitlines())


def folded(name: str, body: str) -> str:
    """Text that opens on a click."""
    return f"<details>\n<summary>{name}</summary>\n\n{body}\n\n</details>"


def included(path: str, options: dict[str, str]) -> str:
    """The source of one object of the package."""
    source = (BOOK / path).resolve().read_text()
    if "pyobject" in options:
        source = _object(source, options["pyobject"])
    language = "toml" if path.endswith(".toml") else "python"
    return f"```{language}\n{source.strip()}\n```"


def _object(source: str, name: str) -> str:
    node: Any = ast.parse(source)
    for part in name.split("."):
        node = next(n for n in node.body if getattr(n, "name", None) == part)
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


# --- Cells ---------------------------------------------------------------------------------------


@dataclass
class Notebook:
    """The cells of one notebook so far."""

    name: str
    cells: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, source: str, **metadata: Any) -> None:
        """Append a cell, with an id that does not change from run to run."""
        cell: dict[str, Any] = {"cell_type": kind, "id": f"{self.name[:2]}-{len(self.cells)}"}
        cell |= {"metadata": metadata, "source": source.splitlines(keepends=True)}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        self.cells.append(cell)

    def markdown(self, text: str) -> None:
        """Append text, unless there is none."""
        if text.strip():
            self.add("markdown", text.strip())

    def whole(self) -> dict[str, Any]:
        """The notebook as nbformat 4.5 has it."""
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata = {
            "colab": {"name": f"{self.name}.ipynb", "toc_visible": True},
            "kernelspec": kernel,
            "language_info": {"name": "python"},
        }
        if self.name[:2] in WITH_GPU:
            metadata["accelerator"] = "GPU"
        return {"cells": self.cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def notebook(page: Path) -> dict[str, Any]:
    """The notebook of a chapter."""
    made, text = Notebook(page.stem), HEADER.sub("", page.read_text())
    heading, _, rest = text.strip().partition("\n")
    made.markdown(
        f"{heading}\n\n*Chapter {int(page.stem[:2])} of the book [{book_title()}]({address()[0]}).*"
    )
    needed = list(needed_files(page, text))
    with_data = any(name.startswith("data/") for name, _ in needed)
    made.add("code", install(with_data, live="Sampler(" in text), cellView="form")
    for name, content in needed:
        made.add("code", f"%%writefile {name}\n{content}", cellView="form")
    inside = False
    for kind, part in pieces(rest):
        if kind == "text":
            for chunk, folds in solution_parts(part, inside):
                made.markdown(
                    folded("Solution", plain(chunk)) if folds and chunk.strip() else plain(chunk)
                )
                inside = folds
        else:
            add_code(made, part, inside)
    return made.whole()


def book_title() -> str:
    """The book's title."""
    return str(yaml.safe_load((ROOT / "_config.yml").read_text())["title"])


def install(with_data: bool, live: bool) -> str:
    """A cell that installs the package, and nothing that is already there.

    The sampler's widget asks the kernel, and needs what the extra `live` names.
    """
    package = f'"ddpm-lite[live] @ {source()}"' if live else source()
    lines = [
        "#@title Install ddpm-lite (once)",
        "from importlib.util import find_spec",
        "",
        'if find_spec("ddpm_lite") is None:',
        f"    %pip install --quiet {package}",
    ]
    return "\n".join([*lines, "!mkdir -p data"] if with_data else lines)


def source() -> str:
    """Where pip finds the package."""
    return f"git+{address()[0]}@{address()[1]}"


def needed_files(page: Path, text: str) -> Iterator[tuple[str, str]]:
    """What the cells read beside the page: equations, the reader's network, measured tables."""
    if "use_page(" in text:
        shown = [f"% {e.kind}\n$$\n{e.latex}\n$$ ({e.label})\n" for e in equations_of(text)]
        yield page.name, "\n".join(shown)
    if f"from {MY_UNET} import" in text:
        yield f"{MY_UNET}.py", my_unet()
    for name in sorted(set(re.findall(r"""["'](data/[a-z0-9_]+\.json)["']""", text))):
        data = json.loads((BOOK / name).read_text())
        yield name, json.dumps(data, ensure_ascii=False)


def my_unet() -> str:
    """The network that a reader builds in chapter 7, as a module.

    It holds the functions and classes of the cells with its tag, and not what the cells try out.
    """
    (page,) = BOOK.glob("07_*.md")
    parts = ["import torch\nimport torch.nn.functional as F\nfrom torch import nn"]
    for match in CELL.finditer(page.read_text()):
        if "my-unet" in (yaml.safe_load(match["yaml"] or "") or {}).get("tags", []):
            for node in ast.parse(match["code"]).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    lines = match["code"].splitlines()[node.lineno - 1 : node.end_lineno]
                    parts.append("\n".join(lines))
    return "\n\n\n".join(parts) + "\n"


def pieces(text: str) -> Iterator[tuple[str, Any]]:
    """Text and code cells in turn."""
    place = 0
    for match in CELL.finditer(text):
        yield "text", text[place : match.start()]
        yield "code", match
        place = match.end()
    yield "text", text[place:]


def solution_parts(text: str, inside: bool) -> Iterator[tuple[str, bool]]:
    """Text cut where a solution that holds cells begins and ends; whether each part is inside."""
    gate = r"^`{3,}\{solution-(start|end)\}[^\n]*\n(?::[^\n]*\n)*`{3,}$"
    place = 0
    for match in re.finditer(gate, text, re.M):
        yield text[place : match.start()], inside
        inside, place = match[1] == "start", match.end()
    yield text[place:], inside


def add_code(made: Notebook, match: re.Match[str], inside: bool) -> None:
    """A code cell, folded where the book folds it, and the caption of its figure below it."""
    options = yaml.safe_load(match["yaml"] or "") or {}
    tags = options.get("tags", [])
    code = match["code"].strip()
    if inside:
        made.add("code", f"#@title Solution\n{code}", cellView="form", tags=tags)
    elif "hide-input" in tags:
        made.add("code", f"#@title Code of the figure\n{code}", cellView="form", tags=tags)
    else:
        made.add("code", code, **({"tags": tags} if tags else {}))
    figure = options.get("mystnb", {}).get("figure")
    if figure:
        made.markdown(f"*Fig. {numbers()[figure['name']]}: {plain(figure['caption'])}*")


# --- Command -------------------------------------------------------------------------------------


def written(page: Path) -> str:
    """The notebook file's text."""
    return json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """1 if `--check` finds a notebook that differs from its chapter, or one without a chapter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; tell what differs")
    check = parser.parse_args(arguments).check
    folder, stale = BOOK / "colab", []
    wanted = {folder / f"{page.stem}.ipynb": written(page) for page in chapters()}
    for path in set(folder.glob("*.ipynb")) - set(wanted):
        stale.append(path)
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not check:
                folder.mkdir(exist_ok=True)
                path.write_text(text)
    for path in stale:
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
