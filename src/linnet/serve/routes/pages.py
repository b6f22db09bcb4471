"""The pages at / and /docs, put together once: each in the style of all of Linnet's pages.

Knows nothing of the service: the pages ask its routes as any client does.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files

# where a page wants them
STYLE = "/* style.css */"
SCRIPT = "/* shared.js */"


@dataclass(frozen=True)
class StaticPage:
    """A page that needs nothing but itself.

    Attributes:
        html: The whole page.
        headers: Its policy. Nothing of the page comes from, or goes to, another host. No script but
            its own runs, and no page of another host shows it.
    """

    html: str
    headers: dict[str, str]


def read_page(name: str) -> StaticPage:
    """A page of this package, with its style and the shared script filled in.

    Args:
        name: Such as "docs.html". It has one script element.
    """
    here = files("linnet.serve")
    style = files("linnet").joinpath("templates/style.css").read_text(encoding="utf-8")
    html = here.joinpath(name).read_text(encoding="utf-8")
    html = html.replace(STYLE, style)
    html = html.replace(SCRIPT, here.joinpath("shared.js").read_text(encoding="utf-8"))
    script = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return StaticPage(html, {"Content-Security-Policy": policy})
