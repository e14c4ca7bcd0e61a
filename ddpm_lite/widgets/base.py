"""A widget: a small ES module that computes and draws in the reader's browser, and its first state.

The module has anywidget's form, `export default { render({ model, el }) }`. In a notebook and on a
built page it stands as HTML with a model of a dozen lines, so that it needs no kernel, no widget
manager and no other host. `live()` gives the same module as an anywidget, with its state in Python.
"""

import html
import json
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from ddpm_lite.widgets.modules import module_text, source

if TYPE_CHECKING:
    import anywidget


class Widget:
    """What a subclass says: the module's file, the first state, and a description for the blind."""

    module: ClassVar[str]
    """The ES module in this folder, without its suffix."""

    height: int = 320
    """The height in pixels that the page keeps free while the module loads."""

    narrow_height: int | None = None
    """The same on a page narrower than 600 pixels, where parts stand below each other."""

    description: str
    """What the widget shows, for readers who cannot see it or whose browser runs no scripts."""

    state: dict[str, Any]
    """The first state: numbers, strings, lists; anything that JSON can hold."""

    def __init__(self, description: str, **state: Any):
        """Keep both."""
        self.description, self.state = description, state

    def _repr_html_(self) -> str:
        """The widget as HTML that stands by itself."""
        body = json.dumps({"module": module_text(self.module), "state": self.state})
        name = "w" + uuid.uuid5(uuid.NAMESPACE_OID, body).hex[:10]
        text, narrow = html.escape(self.description), self.narrow_height or self.height
        return (
            f'<div class="book-widget" id="{name}" role="group" aria-label="{text}" '
            f'data-widget="{self.module}" style="min-height:{self.height}px">'
            f"<noscript>{text}</noscript></div>\n"
            f"<style>@media (max-width: 600px) {{#{name} {{min-height: {narrow}px !important}}}}"
            "</style>\n"
            f'<script type="module">\n{source("shim")}\n'
            f'start("{name}", {_in_script(body)});\n</script>'
        )

    def live(self) -> "anywidget.AnyWidget":
        """The same as an anywidget (`ddpm-lite[live]`): its traits follow the reader's hand.

        Those of `Sampler` say how it begins, and stay.
        """
        import anywidget
        import traitlets

        traits: dict[str, Any] = {k: traitlets.Any(v).tag(sync=True) for k, v in self.state.items()}
        traits["description"] = traitlets.Unicode(self.description).tag(sync=True)
        members = {"_esm": module_text(self.module), **traits}
        made: anywidget.AnyWidget = type(type(self).__name__, (anywidget.AnyWidget,), members)()
        return made


def _in_script(body: str) -> str:
    """JSON that can stand inside <script>: no tag can end it."""
    return body.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
