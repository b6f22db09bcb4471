"""Whether quotes mean anything in a file of fields between separators."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Literal

MAX_FIELD = 10_000_000
QUOTED = re.compile(r'"(?:[^"]|"")*"')

Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def tab_quoting(lines: Iterable[str]) -> Quoting:
    """Whether a tab-separated file has quotes as a spreadsheet writes them, or none that mean anything.

    Where tabs alone cut every line into as many fields, no quote has to hold a field together over tabs or lines:
    quotes then mean something if each field that begins with one is well quoted by itself. Else they do if rows of as
    many fields come of it.
    """
    cut_widths, all_quoted = set(), True

    def watched() -> Iterator[str]:
        nonlocal all_quoted
        for line in lines:
            fields = line.rstrip("\r\n").split("\t")
            if line.strip():
                cut_widths.add(len(fields))
            if all_quoted and '"' in line:
                all_quoted = all(
                    QUOTED.fullmatch(field) for field in fields if field.startswith('"')
                )
            yield line

    try:
        widths = {len(row) for row in csv.reader(watched(), delimiter="\t", strict=True)} - {0}
    except csv.Error:
        return csv.QUOTE_NONE
    means_something = all_quoted if len(cut_widths) == 1 else len(widths) == 1
    return csv.QUOTE_MINIMAL if means_something else csv.QUOTE_NONE
