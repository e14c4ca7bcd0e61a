r"""Formulas in messages, where nothing sets them: `c^2 Var[X]`, and no `\operatorname{Var}`.

What has no plain form, such as a fraction, stays as it is in LaTeX.
"""

import re
from typing import Any

import sympy as sp
from sympy.printing.pretty.pretty_symbology import greek_unicode

_NAME = re.compile(r"\\(?:operatorname|mathbb|mathcal)\{(\w+)\}")
_SIZE = re.compile(r"\\(?:left|right)(?![a-zA-Z])")
_LETTER = re.compile(rf"\\({'|'.join(greek_unicode)})(?![a-zA-Z])")
_BRACES = re.compile(r"(?<![a-zA-Z}])\{(\w+)\}")
"""Not those of an argument, as in \\mathbf{x} and \\frac{a}{b}."""


def in_words(formula: Any) -> str:
    """The formula as text, as far as it goes."""
    text = str(sp.latex(formula))
    for pattern in (_NAME, _SIZE, _LETTER, _BRACES):
        text = pattern.sub(r"\1" if pattern.groups else "", text)
    return text
