"""The page, put together from its template, styles and scripts.

Labels and names in the results are hostile. As a file, the page holds the results as JSON in which
no character can end the element. The script shows all of it as text, never as markup.
"""

import base64
import hashlib
import json
from importlib.resources import files

from linnet.monitor.results import Results

TEMPLATES = ("style.css", "shared.js", "ask.js")  # of all of Linnet's pages
OWN = ("page.css", "charts.js", "operate.js")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
    "form-action 'none'"
)
# What could end the element, or is a line end in older JavaScript.
ESCAPED = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def script_digest(html: str) -> str:
    """The digest by which a policy allows a page's one script, and no other."""
    script = html.partition("<script>")[2].partition("</script>")[0]
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def served_page() -> str:
    """The page of a service, which asks that for the results."""
    return _filled("", "null")


def file_page(results: Results) -> str:
    """The page as a file that needs nothing else.

    Args:
        results: What it shows.
    """
    # Only ASCII, so that half of a surrogate pair in a name is an escape too.
    content = {**results.content(), "age_seconds": None}  # equal results give equal bytes
    embedded = json.dumps(content, sort_keys=True, allow_nan=False).translate(ESCAPED)
    policy = POLICY.format(digest=script_digest(_filled("", "null")))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return _filled(meta, embedded)


def _filled(policy: str, content: str) -> str:
    here = files("linnet.monitor.page")
    templates = files("linnet").joinpath("templates")
    html = here.joinpath("template.html").read_text(encoding="utf-8")
    for folder, names in ((templates, TEMPLATES), (here, OWN)):
        for name in names:
            html = html.replace(f"/* {name} */", folder.joinpath(name).read_text(encoding="utf-8"))
    return html.replace("<!-- policy -->", policy).replace("<!-- content -->", content)
