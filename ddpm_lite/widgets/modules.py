"""The ES modules of this folder, several of them as one text that a browser can run alone.

A notebook takes one module for a widget, and a page opened from a file can import none. So each
imported module becomes a function that is called once: its private names stay inside it, and its
exports are the value. What this cannot do, a renamed import for instance, is refused here and not
found out by a reader.
"""

import re
from collections.abc import Callable
from importlib.resources import files

_IMPORT = re.compile(r'^import \{([\w$,\s]*)\} from "\./([a-z_]+)\.js";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) ([\w$]+))", re.M)
_COMMENT = re.compile(
    r"^[ \t]*//.*\n|^[ \t]*/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*\n|/\*\*(?:(?!\*/).)*\*/ ?", re.M
)
"""Comments that fill lines, and types: they are for who reads the module, not for each page."""
_OTHER = re.compile(r"^(?:import|export)\b.*", re.M)


class ModuleError(ValueError):
    """A module that cannot stand in one text with others."""


def source(name: str) -> str:
    """The text of a module of this folder, named without its suffix."""
    return files(__package__).joinpath(f"{name}.js").read_text(encoding="utf-8")


def module_text(name: str, read: Callable[[str], str] = source) -> str:
    """A module as one text with all that it imports; its own exports stay. Raises ModuleError."""
    helpers: dict[str, str] = {}
    main = _linked(name, read, helpers, (name,))
    _refuse(name, _EXPORT.sub("", main).replace("\nexport default ", "\n"))
    return "".join([*helpers.values(), main])


def _linked(
    name: str, read: Callable[[str], str], helpers: dict[str, str], path: tuple[str, ...]
) -> str:
    """A module with `const { a } = $b;` for each import; what it imports is added to `helpers`.

    `path` holds the modules that led here, so that a circle is noticed.
    """
    text = _COMMENT.sub("", read(name))
    for names, other in _IMPORT.findall(text):
        if other in path:
            raise ModuleError(f"{name}.js imports {other}.js, which imports it")
        asked = {name.strip() for name in names.split(",")} - {""}
        if missing := asked - set(_EXPORT.findall(read(other))):
            raise ModuleError(f"{name}.js imports {min(missing)}, which {other}.js does not export")
        if other not in helpers:
            helpers[other] = _called(other, _linked(other, read, helpers, (*path, other)))
    return _IMPORT.sub(r"const {\1} = $\2;\n", text)


def _called(name: str, text: str) -> str:
    """A helper as the value of a function."""
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", text)
    _refuse(name, body)
    return f"const ${name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


def _refuse(name: str, rest: str) -> None:
    """Raises for an import or export of another form than those that were replaced."""
    if found := _OTHER.search(rest):
        raise ModuleError(f"{name}.js: `{found[0]}` cannot stand in one text with others")
