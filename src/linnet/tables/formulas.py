"""Mark CSV cells that a spreadsheet would run as formulas with an apostrophe, and undo it.

The characters are those of OWASP's "CSV Injection". Knows nothing of files.
"""

import re

# Behind apostrophes too, so that a marked cell and a text that begins with one stay apart.
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
MARK = "'"


def defused(cell: str) -> str:
    """The cell as a spreadsheet shows it: one that begins as a formula gets an apostrophe first."""
    return MARK + cell if FORMULA.match(cell) else cell


def undefused(cell: str) -> str:
    """The cell that `defused` was given."""
    return cell[1:] if cell.startswith(MARK) and FORMULA.match(cell) else cell
