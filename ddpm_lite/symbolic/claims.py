"""What a display says: members and the relations between them."""

from dataclasses import dataclass, field

import sympy as sp
from sympy import Expr


@dataclass(frozen=True)
class Claim:
    """One chain a = b <= c: the members and the relations between them (LaTeX, "=" or commands)."""

    members: tuple[Expr, ...]
    relations: tuple[str, ...]
    source: str = field(default="", compare=False)
    """The display that it was read from, without spaces; empty if it was made by a cell."""

    def links(self) -> list[tuple[Expr, str, Expr]]:
        """Each relation with the members on its two sides."""
        return list(zip(self.members, self.relations, self.members[1:], strict=False))

    @property
    def lhs(self) -> Expr:
        """The first member."""
        return self.members[0]

    @property
    def rhs(self) -> Expr:
        """The last member."""
        return self.members[-1]

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def latex(self) -> str:
        """As SymPy writes it."""
        text = str(sp.latex(self.members[0]))
        for relation, member in zip(self.relations, self.members[1:], strict=True):
            text += f" {relation} {sp.latex(member)}"
        return text
