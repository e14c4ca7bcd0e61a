"""The machine that holds page, proof and code together: reads a page's LaTeX, and checks it."""

from ddpm_lite.symbolic.checks import (
    CheckError,
    answer,
    chain,
    check,
    cited,
    definition,
    proved,
    use_page,
)
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.page import PageError
from ddpm_lite.symbolic.reader import read, symbols
from ddpm_lite.symbolic.tokens import ReadError

__all__ = [
    "CheckError",
    "Claim",
    "PageError",
    "ReadError",
    "answer",
    "chain",
    "check",
    "cited",
    "definition",
    "proved",
    "read",
    "symbols",
    "use_page",
]
