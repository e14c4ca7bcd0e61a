"""What readers may type to see what happens: it gets a verdict, soon, and the machine goes on."""

HOSTILE = {
    "very long": "x" * 1_000_000,
    "many terms": "+".join(["x_1"] * 400),
    "many signs": "-" * 1999,
    "many roots": r"\sqrt" * 300 + "2",
    "deep": "{" * 900 + "x" + "}" * 900,
    "deep brackets": "(" * 39 + "x" + ")" * 39,
    "fractions": r"\frac{1}{" * 39 + "2" + "}" * 39,
    "tower": "9^{9^{9^{9}}}",
    "power": r"(1+\alpha_t)^{1000}",
    "power of a power": r"((1+\alpha_t)^{1000})^{1000}",
    "digits": "9" * 1900,
    "factorial": "1000!",
    "factorials": "(1000!)!",
    "sum": r"\sum_{i=1}^{1000} \prod_{j=1}^{1000} \alpha_i \alpha_j",
    "unbalanced": "}}}}((([[",
    "unbalanced other": r"\begin{matrix} 1 & 2 \\ 3",
    "nothing": "",
    "blank": " \n\t ",
    "script": "<script>alert(1)</script>",
    "python": "__import__('os').system('touch hacked')",
    "python in latex": r"\text{__import__('os').system('touch hacked')}",
    "exponentials": r"\exp(\exp(\exp(\exp(\exp(1000)))))",
    "no text": "\x00\ud7ff\u202e",
    "infinite": r"\infty - \infty",
    "division by zero": r"\frac{1}{0}",
    "a time far away": r"\sqrt{1-\bar\alpha_{1000}} + \bar\alpha_{999}",
    "sums far apart": r"\sum_{i=1}^{n} x_i - \sum_{i=100000}^{n} x_i",
    "a sum that grows": r"\sum_{i=1}^{10^6 n} i^i",
    "many denominators": "+".join(rf"\frac{{1}}{{x_{{{i}}}+y_{{{i}}}}}" for i in range(14)),
    "a root of a power": r"\sqrt{(x+y+z+a+b)^{40}+1}",
    "a power of a matrix": r"\begin{pmatrix} a & b & c \\ x & y & z \\ u & v & w \end{pmatrix}^9",
    "a large determinant": r"\det\begin{pmatrix}"
    + r"\\".join("&".join(f"{x}_{i}" for i in range(6)) for x in "xyzCXY")
    + r"\end{pmatrix}",
    "integrals in one another": r"\int_0^1 " * 12
    + "i j k s t T m n K d N H"
    + "".join(rf" \mathrm{{d}} {x}" for x in "ijkstTmnKdNH"),
}
