"""The pages of the service, put together once: each in the style of all of Linnet's pages.

Knows nothing of the service: the pages ask its routes as any client does.
"""

from dataclasses import dataclass
from importlib.resources import files

from linnet.monitor.page import script_digest

# Each is a file of linnet/templates, which the place of this name in a page is filled with.
INCLUDED = ("style.css", "shared.js", "ask.js")


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
    """A page of this package, with its style and the shared scripts filled in.

    Args:
        name: Such as "docs.html". It has one script element.
    """
    templates = files("linnet").joinpath("templates")
    html = files("linnet.serve").joinpath(name).read_text(encoding="utf-8")
    for part in INCLUDED:
        html = html.replace(f"/* {part} */", templates.joinpath(part).read_text(encoding="utf-8"))
    return with_policy(html)


def with_policy(html: str) -> StaticPage:
    """A page with the policy that lets its one script run, and nothing else.

    Args:
        html: The whole page. It has one script element.
    """
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{script_digest(html)}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return StaticPage(html, {"Content-Security-Policy": policy})
