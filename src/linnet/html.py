"""HTML pages that need nothing else: a template and inline plots, no script, no other host.

Knows nothing of what a page is about. Black in a plot means "the colour of the page's text", so
plots read well on light and on dark pages; other colours should be mid-tones, such as those of
`PALETTE`.
"""

import io
import re
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Each has a contrast of at least 3 to the cards of a light page and of a dark one (WCAG 2.2,
# 1.4.11).
PALETTE = ("#2a9d8a", "#d97b29", "#4c86d8", "#c65d8f", "#8b7fd1", "#7d868f")

SHOWN = 30  # characters of a name in a plot
NAMED = 120  # characters of a name in a table
WIDTH = 4.8  # inches; text of 10 points is still read where a phone shows this in 3
SMALLEST_P = 0.001
SPACE = "\u00a0"  # keeps a number and its unit on one line
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def plot(width: float = WIDTH, height: float = 3.2) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes in the look that Linnet's pages share.

    Args:
        width: In inches. The page scales the plot to its place, text included.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def plain(text: str, longest: int = SHOWN) -> str:
    """A text as a plot shows it: on one line, not too long, and no formula.

    Args:
        text: Such as the name of a label. Matplotlib takes what is between two dollars for a
            formula.
        longest: Characters.
    """
    return _shortened(" ".join(text[: 4 * longest].split()), longest).replace("$", r"\$")


def legend_above(axes: Axes, columns: int = 3, **options: Any) -> None:
    """A legend above the axes, where it hides nothing.

    Args:
        axes: Of the plot.
        columns: Entries in one line.
        **options: For `Axes.legend`.
    """
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.01)}
    axes.legend(frameon=False, ncols=columns, fontsize=9, borderaxespad=0.0, **place | options)


def svg(figure: Figure, description: str = "") -> Markup:
    """Draw a figure as inline SVG; the same figure gives the same bytes.

    Args:
        figure: Its background is left out and its black becomes the page's text colour.
        description: What it shows, for those who can't see it.
    """
    buffer = io.StringIO()
    # Text stays text (fonttype none) so that it takes the page's font and colour; with a fixed salt
    # and no metadata the same figure gives the same bytes on every run.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "linnet"}), warnings.catch_warnings():
        # The reader's font draws the text, so it doesn't matter what matplotlib's own font lacks.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]  # HTML may not hold an XML prolog
    drawing = re.sub(
        r'<g id="[^"]*">', "<g>", drawing
    )  # names such as axes_1 would be twice on a page
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
    environment.filters |= {
        "percent": percent,
        "thousands": _thousands,
        "counted": counted,
        "p_value": _p_value,
        "prose": _prose,
        "named": _named,
        "numeric": _numeric,
    }
    return environment


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage: 0.8125 becomes 81.2 %, which no line breaks apart."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: "1 text", "2 texts".

    Args:
        count: How many.
        noun: The name of one.
        plural: The name of several; empty: the noun with an s.
    """
    return f"{count:,}{SPACE}{noun if count == 1 else plural or f'{noun}s'}"


def _thousands(count: int) -> str:
    """A count with its thousands apart: 1600000 becomes 1,600,000."""
    return f"{count:,}"


def _p_value(value: float) -> str:
    """A p-value to three digits.

    A very small one is only bounded: its digits depend on the test's approximation.
    """
    return f"<{SPACE}{SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"


def _prose(text: str) -> Markup:
    """A message as HTML:

    what it sets in backticks is code, and a number stays with its percent sign.
    """
    whole = re.sub(r"(?<=\d) (?=%)", SPACE, text)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(whole))))  # noqa: S704, escaped


def _named(name: str) -> Markup:
    """A name from the data:

    its middle left out if it is long, and its writing direction kept to itself.
    """
    shown = name if len(name) <= NAMED else f"{name[: NAMED // 2]} … {name[-NAMED // 3 :]}"
    return Markup("<bdi>{}</bdi>").format(shown)


def _numeric(columns: Iterable[str]) -> list[str]:
    """Columns that hold numbers, as tables.html marks them."""
    return [f"#{column}" for column in columns]


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
