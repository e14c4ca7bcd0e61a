"""False statements, by the fault of the machine that once took them for true: sheets, line by line.

The last line of each is false, or says more than is known. It may be refused, not be decided, or be
called different; it must never be called equal. What stands in `TRUE` is as near to them as can be,
and is still to be seen.
"""

NOT_DIFFERENT = (
    r"3 \mathbb{E}[X^2] - 2 \mathbb{E}[X]^2 \ge 2 \mathbb{E}[X^2] - \mathbb{E}[X]^2",
    r"2 \mathbb{E}[-X^2] \le \mathbb{E}[-X^2]",
    r"2 \mathbb{E}[2] - 2 = \mathbb{E}[2]",
    r"I^2 = I",
    r"\sqrt{I} = I",
    r"I^{-1} = I",
    r"10^{900} (\sqrt{3+2\sqrt2} - 1 - \sqrt2) = 0",
)
"""True, and once called different: the numbers that were to show it are none."""

UNTRUE: dict[str, tuple[str, ...]] = {
    "an index takes the place of a free letter": (
        r"\sum_{t=1}^{T} \frac{t}{t+s} \log q(x_t \mid x_{t-1})"
        r" = \frac12 \sum_{t=1}^{T} \log q(x_t \mid x_{t-1})",
        r"\mathbb{E}_{q(x_{1:T} \mid x_0)}[\sum_{t=1}^{T} f(x_t, s)]"
        r" = \mathbb{E}_{q(x_{1:T} \mid x_0)}[\sum_{t=1}^{T} f(x_t, t)]",
        r"\sum_{t=1}^{T} f(x_t, x_s) \log q(x_1) = \log q(x_1) \sum_{t=1}^{T} f(x_t, x_t)",
    ),
    "what stands behind the bar is dropped": (
        r"\mathbb{E}_{q(x_1)}[x_1 \mid x_0] = \mathbb{E}_{q(x_1)}[x_1]",
        r"\mathbb{E}_{q(x_1)}[f(x_1) \mid X] = \mathbb{E}_{q(x_1)}[f(x_1)]",
    ),
    "another variable becomes the start of the chain": (
        r"q(x_2 \mid y) = q(x_2 \mid x_0)",
        r"\mathbb{E}_{q(x_1 \mid y)}[f(x_1)] = \mathbb{E}_{q(x_1 \mid x_0)}[f(x_1)]",
        r"q(x_2 \mid x_1, y) = q(x_2 \mid x_1)",
        r"p_\theta(x_2 \mid x_1, y) = p_\theta(x_2 \mid x_1)",
        r"p(y \mid x_1, x_2) = p(y \mid x_1)",
        r"q(z_2 \mid z_0, x) = q(z_2 \mid z_0)",
        r"q(z_{1:T} \mid x) = \prod_{t=1}^{T} q(z_t \mid z_{t-1})",
    ),
    "a divergence of what is no density": (
        r"D_{\mathrm{KL}}(2 q(x) \| p(x)) = \log 2 + D_{\mathrm{KL}}(q(x) \| p(x))",
        r"D_{\mathrm{KL}}(q(x) \| 2 p(x)) = D_{\mathrm{KL}}(q(x) \| p(x)) - \log 2",
        r"D_{\mathrm{KL}}(q(x)^2 \| p(x))"
        r" = 2 \mathbb{E}_{q(x)}[\log q(x)] - \mathbb{E}_{q(x)}[\log p(x)]",
        r"D_{\mathrm{KL}}(q(x_1 \mid x_0) \| p(x_0))"
        r" = \mathbb{E}_{q(x_1 \mid x_0)}[\log q(x_1 \mid x_0)] - \log p(x_0)",
        r"D_{\mathrm{KL}}(q(x) \| e^{a}) = \mathbb{E}_{q(x)}[\log q(x)] - a",
        r"D_{\mathrm{KL}}(q(x, y) \| p(x \mid y) p(y \mid x))"
        r" = \mathbb{E}_{q(x, y)}[\log q(x, y) - \log p(x \mid y) - \log p(y \mid x)]",
        r"D_{\mathrm{KL}}(q(x, y) \| \mathcal{N}(x; y, 1) \mathcal{N}(y; -x, 1))"
        r" = \mathbb{E}_{q(x, y)}[\log q(x, y)"
        r" - \log \mathcal{N}(x; y, 1) - \log \mathcal{N}(y; -x, 1)]",
        r"D_{\mathrm{KL}}(\mathcal{N}(x; y, 1) \mathcal{N}(y; -x, 1)"
        r" \| \mathcal{N}(x; 0, \frac12) \mathcal{N}(y; 0, \frac12)) \ge 0",
    ),
    "what is 0 or 1 at the first step": (
        r"\bar\alpha_0 < 1",
        r"1 - \bar\alpha_0 > 0",
        r"\bar\alpha_{t-1} < 1",
        r"\frac{\beta_t}{1 - \bar\alpha_{t-1}} > 0",
        r"\tilde\beta_1 > 0",
        r"\eta > 0",
        r"P(X_2 = j \mid X_1 = i) > 0",
        "let \\tilde\\beta_t = \\frac{1-\\bar\\alpha_{t-1}}{1-\\bar\\alpha_t}\\beta_t\n"
        r"\tilde\beta_1 > 0",
        "let \\delta = \\bar\\alpha_{t-1}\n\\delta = \\bar\\alpha_{t-1}",
        r"\prod_{s=0}^{t} (1 - \bar\alpha_s) > 0",
        r"\prod_{s=1}^{t} (1 - \bar\alpha_{s-1}) > 0",
    ),
    "a letter put in is caught by a running index": (
        "let y_t = \\sum_{s=1}^{3} s t\n" r"y_s = \sum_{i=1}^{3} i^2",
        "let y_t = \\int_0^1 s t \\mathrm{d}s\n" r"y_s = \frac13",
    ),
    "a whole number where all numbers are meant": (
        r"\int_0^1 \sin(\pi t) \mathrm{d}t = 0",
        r"\int_0^1 \lvert t-1 \rvert \mathrm{d}t = -\frac12",
        r"\int_0^1 \cos(2\pi t) \mathrm{d}t = 1",
        r"\int_0^{\frac12} \cos(\pi t) \mathrm{d}t = 0",
        r"\frac{\mathrm{d}}{\mathrm{d}t} \sin(\pi t) = 0",
        r"\lim_{t\to 0} \frac{\sin(\pi t)}{t} = 0",
        r"\lim_{t\to 0} \lvert t-1 \rvert = -1",
        r"\lim_{\sigma\to -1} \sqrt{\sigma^2} = -1",
        r"\lim_{s\to -1} \lvert s \rvert = -1",
    ),
    "what moves is not seen": (
        r"\frac{\partial}{\partial\theta} \log p_\theta(x_0) = 0",
        r"\frac{\partial}{\partial\theta} \epsilon_\theta(x_t, t) = 0",
        r"\frac{\partial}{\partial\theta} \lVert \epsilon - \epsilon_\theta(x_t, t) \rVert^2 = 0",
        r"\frac{\partial}{\partial\theta} L_{\mathrm{simple}} = 0",
        r"\frac{\mathrm{d} x}{\mathrm{d} t} = 0",
        r"\frac{\mathrm{d}}{\mathrm{d}t} \lambda = 0",
        r"\frac{\mathrm{d}}{\mathrm{d}x} x_t = 0",
        r"\lim_{t \to 0} \lambda = \lambda",
        r"\lim_{\beta_t \to 0} (\tilde\beta_t + \beta_t) = \tilde\beta_t",
        r"\lim_{x_1 \to 0} \sum_{i=1}^{n} x_i = \sum_{i=1}^{n} x_i",
        r"\lim_{x_t \to 0} x_s = x_s",
        r"\lim_{x_t \to 0} (x_t + x_s) = x_s",
    ),
    "matrices change places": (
        r"M \operatorname{Var}[\mathbf{x}] = \operatorname{Var}[\mathbf{x}] M",
        r"M \mathbb{E}[\mathbf{x}\mathbf{x}^\top] = \mathbb{E}[\mathbf{x}\mathbf{x}^\top] M",
        r"\mathbb{E}[\mathbf{x}] M = M \mathbb{E}[\mathbf{x}]",
        r"\operatorname{Var}[\mathbf{x}] \operatorname{Var}[\mathbf{y}]"
        r" = \operatorname{Var}[\mathbf{y}] \operatorname{Var}[\mathbf{x}]",
        r"M \operatorname{Cov}[\mathbf{x}, X] L = L M \operatorname{Cov}[\mathbf{x}, X]",
        r"(M \odot L) M = M (M \odot L)",
        r"f(M) L = L f(M)",
        r"\pi P = P \pi",
    ),
    "a root undoes the square of a matrix": (
        r"\sqrt{M^2} = M",
        r"(M^{2})^{1/2} = M",
        r"(M^2)^{a} = M^{2a}",
        r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}"
        r" = (\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}^2)^{\frac12}",
    ),
    "entries counted from 0": (
        r"(\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix})_{1,1} = 4",
        r"\sum_{i=1}^{1} (\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix})_{ii} = 4",
        r"(P P)_{ij} = \sum_{k=0}^{K-1} P_{ik} P_{kj}",
        r"\operatorname{tr}(W) = W_{0 0} + W_{1 1} + W_{2 2}",
        r"\sum_{i=1}^{2} W_{i i} = W_{2 2} + W_{3 3}",
        r"(W W)_{1 1} = W_{1 1} W_{1 1}",
    ),
    "a function of a vector as a number": (
        r"\lVert \frac{\epsilon}{x} \rVert^2 = \frac{\lVert \epsilon \rVert^2}{x^2}",
        r"\lVert e^{x} \epsilon \rVert^2 = e^{2x} \lVert \epsilon \rVert^2",
        r"\lVert x \log(x) \rVert^2 = (\log(x))^2 \lVert x \rVert^2",
        r"\langle \frac{1}{\epsilon_t} x, x \rangle = \frac{1}{\epsilon_t} \langle x, x \rangle",
    ),
    "what is typed is read as something else": (
        r"1\,000 = 0",
        "10 000 = 0",
        "2 3 = 6",
        "2 3^2 = 18",
        "3. 5 = 15",
        "x & y = x y",
        r"\alpha^10 = 0",
        "x^1.5 = 5 x",
    ),
    "definitions that say two things": (
        "let a = b\nlet b = 2\na = 2",
        "let c = a + b\nlet a = 2\nc = 2 + b",
        "let y_t = x_t^2\nlet x_t = x_{t-1} + a\ny_t = (x_{t-1} + a)^2",
        "let y_t = 1\nlet y_s = 2\ny_t = 2",
        "let y_t = t\nlet y_3 = 5\ny_3 = 5",
        "let y_3 = 5\nlet y_t = t\ny_3 = 3",
    ),
    "what has no value equals itself": (
        r"\frac{\alpha_t+\beta_t-1}{\alpha_t+\beta_t-1} = 1",
        r"\frac{\prod_{s=0}^{3} s}{\prod_{s=0}^{3} s} = 1",
        r"\infty x = 2\infty x",
        r"\mathcal N(x; 0, -1) = \mathcal N(x; 0, -1)",
        r"\lim_{x\to0} \frac1{x^2} = \lim_{x\to0} \frac1{x^2}",
    ),
    "the sign of a sum or a product beyond its terms": (
        r"\prod_{s=0}^{n} s > 0",
        r"\sum_{s=0}^{n} (s - 1) \ge 0",
        r"\prod_{s=1}^{\infty} \frac12 > 0",
        r"\sum_{i=0}^{3} \bigl(\prod_{j=i}^{3} j\bigr) > 0",
    ),
}

TRUE = (
    r"\sum_{t=1}^{T} \frac{t}{t+s} \log q(x_t \mid x_{t-1})"
    r" = \sum_{i=1}^{T} \frac{i}{s+i} \log q(x_i \mid x_{i-1})",
    r"\mathbb{E}_{q(x_1 \mid x_0)}[x_1] = \mathbb{E}_{q(x_1 \mid x_0)}[2 x_1 - x_1]",
    r"q(z_2 \mid z_1, x) = q(z_2 \mid z_1)",
    r"q(z_{1:T} \mid x) = q(z_1 \mid x) \prod_{t=2}^{T} q(z_t \mid z_{t-1})",
    r"D_{\mathrm{KL}}(q(x, y) \| p(x \mid y) p(y))"
    r" = \mathbb{E}_{q(x, y)}[\log q(x, y) - \log p(x, y)]",
    "let y_t = \\sum_{s=1}^{3} s t\n" r"y_s = \sum_{i=1}^{3} i s",
    "let y_t = \\int_0^1 s t \\mathrm{d}s\n" r"y_s = \frac{s}{2}",
    r"1 - \bar\alpha_{t-1} \ge 0",
    r"\int_0^1 t \mathrm{d}t = \frac12",
    r"\lim_{n \to \infty} \frac1n = 0",
    r"\operatorname{Var}[\mathbf{x}] + M_{ij} = M_{ij} + \operatorname{Var}[\mathbf{x}]",
    r"f(\mathbf{x}) L = L f(\mathbf{x})",
    r"\Sigma^{\frac12} \Sigma^{\frac12} = \Sigma",
    r"(M^2)^{n} = M^{2 n}",
    r"\lVert f(x) \epsilon \rVert^2 = f(x)^2 \lVert \epsilon \rVert^2",
    "let x_t = x_{t-1} + a\nlet y_t = x_t^2\ny_t = (x_{t-1} + a)^2",
    "let y_3 = 5\nlet y_2 = y_3\ny_2 = 5",
    "let \\eta = 0\n\\eta = 0",
    "let \\tilde\\beta_t = \\frac{1-\\bar\\alpha_{t-1}}{1-\\bar\\alpha_t}\\beta_t\n"
    r"\tilde\beta_1 = 0",
    r"\tilde\beta_2 > 0",
    r"\frac{x-y}{x-y} = 1",
    r"\lim_{x \to 0} \cos(x) = \lim_{y \to 0} \cos(y)",
    r"\lim_{x_t \to 0} (x_t + x_{t-1}) = x_{t-1}",
    r"\frac{\mathrm{d}}{\mathrm{d}t} t^2 = 2 t",
    r"\frac{\mathrm{d}}{\mathrm{d}x} a x^2 = 2 a x",
    r"\frac{\partial}{\partial\theta} \theta^2 = 2 \theta",
    r"\bar\alpha_t < \bar\alpha_{t-1}",
    r"\bar\alpha_t < 1",
    r"\prod_{s=0}^{t} (1 - \bar\alpha_s) \ge 0",
    r"\prod_{s=1}^{t} (1 - \bar\alpha_s) > 0",
    r"\prod_{s=1}^{n} s > 0",
    r"\sum_{s=1}^{n} (s - 1) \ge 0",
)
