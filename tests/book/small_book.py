"""Throw-away Sphinx projects, built the way the book is: warnings are errors."""

import subprocess
import sys
from pathlib import Path

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_nb", {{extensions}}]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
math_numfig = numfig = True
html_theme = "basic"
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache"]
"""
HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page
"""


class SmallBook:
    """Pages under `book/`, and what a build says."""

    def __init__(self, root: Path, *extensions: str) -> None:
        self.root = root
        (root / "book").mkdir()
        names = ", ".join(map(repr, extensions))
        (root / "conf.py").write_text(CONF.format(extensions=names))
        self.names: list[str] = []

    def page(self, name: str, text: str) -> None:
        """Write a page and list it."""
        (self.root / "book" / f"{name}.md").write_text(text)
        if name not in self.names:
            self.names.append(name)
        entries = "\n".join(f"book/{one}" for one in self.names)
        index = f"# A book\n\n```{{toctree}}\n:numbered:\n{entries}\n```\n"
        (self.root / "index.md").write_text(index)

    def build(self) -> tuple[int, str]:
        """Exit code, and what was said: all of it by a build that failed, else the warnings.

        A Jupyter kernel has the build's stderr too. ZeroMQ may complain there while the kernel
        ends, when all its answers have been given; that is no warning, and fails no book.
        """
        warnings = self.root / "warnings.txt"
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-b", "html"]
        done = subprocess.run(
            [*command, "-w", str(warnings), str(self.root), str(self.root / "_build")],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        failed = done.returncode != 0
        said = done.stdout + done.stderr if failed else warnings.read_text(encoding="utf-8")
        return done.returncode, said.strip()

    def built(self, name: str) -> str:
        """A page as it was built."""
        return (self.root / "_build" / "book" / f"{name}.html").read_text()
