"""HTML pages that need nothing but themselves: a template, inline plots, no script, no outside host.

Knows nothing of what a page is about. Black in a plot means "the colour of the page's text", so plots
read well on light and on dark pages; other colours should be mid-tones, such as those of `PALETTE`.
"""

import io
import re
import warnings
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#4c86d8", "#e08632", "#3fa27c", "#c65d8f", "#8b7fd1", "#8a919c")

SHOWN = 30  # characters
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def plot(width: float = 6.0, height: float = 3.4) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes in the look that Linnet's pages share.

    Args:
        width: In inches; a phone shows up to 6 without its text becoming too small.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def plain(text: str) -> str:
    """A text as a plot shows it: not too long, and no formula, which is what matplotlib takes two dollars for."""
    short = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
    return short.replace("$", r"\$")


def svg(figure: Figure, description: str = "") -> Markup:
    """Draw a figure as inline SVG; the same figure gives the same bytes.

    Args:
        figure: Its background is left out and its black becomes the page's text colour.
        description: What it shows, for those who can't see it.
    """
    buffer = io.StringIO()
    # Text stays text (fonttype none) so that it takes the page's font and colour; with a fixed salt and no
    # metadata the same figure gives the same bytes on every run.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "linnet"}), warnings.catch_warnings():
        # The reader's font draws the text, so it doesn't matter what matplotlib's own font lacks.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]  # an XML prolog may not stand inside of HTML
    drawing = re.sub(
        r'<g id="[^"]*">', "<g>", drawing
    )  # names such as axes_1 would stand twice on a page
    drawing = drawing.replace("#000000", "currentColor")
    opening = f'<svg role="img" aria-label="{escape(description)}" fill="currentColor"'
    return Markup(drawing.replace("<svg", opening, 1))  # noqa: S704, matplotlib has escaped the texts


def render(template_name: str, **values: Any) -> str:
    """Fill a template of linnet/templates.

    Args:
        template_name: Such as "report.html".
        **values: What the template names; one that is missing is an error, never an empty place.

    Raises:
        jinja2.UndefinedError: The template names a value that isn't given.
    """
    return _environment().get_template(template_name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("linnet"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["thousands"] = _thousands
    return environment


def _percent(share: float, digits: int = 1) -> str:
    """A share as a percentage: 0.8125 becomes 81.2 %."""
    return f"{100 * share:.{digits}f} %"


def _thousands(count: int) -> str:
    """A count with its thousands apart: 1600000 becomes 1,600,000."""
    return f"{count:,}"
