"""Make, list and revoke the keys that requests to a service must carry.

A running service takes note within a second. A key is shown once, when it is made; the file holds
its hash.
"""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.errors import UsageError
from linnet.printable import printable_cell
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.serve.middleware.keys import Key

SUMMARY = "keys of the HTTP service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help="add, list or revoke"
    )
    add = actions.add_parser(
        "add", help="make a key and show it, once", description="Make a key and show it, once."
    )
    add.add_argument("name", help="whose it is, for the list")
    add.add_argument(
        "--scopes",
        default="predict,feedback",
        metavar="LIST",
        help="what it opens, of predict, feedback, admin and metrics (default: predict,feedback)",
    )
    add.add_argument(
        "--requests-per-minute", type=int, default=0, metavar="N", help="0, the default: any number"
    )
    add.add_argument(
        "--texts-per-day", type=int, default=0, metavar="N", help="0, the default: any number"
    )
    add.add_argument(
        "--expires", metavar="DATE", help="refuse it from this day or time on (ISO 8601, UTC)"
    )
    shown = actions.add_parser(
        "list", help="show the keys there are", description="Show the keys there are."
    )
    revoke = actions.add_parser(
        "revoke", help="refuse a key from now on", description="Refuse a key from now on."
    )
    revoke.add_argument("id", help="the key's id, as listed, or the key itself")
    for action in (add, shown, revoke):
        add_config_options(action, "serve.keys")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from pathlib import Path

    from linnet.serve.middleware.keys import add_key, read_keys, revoke_key

    path = Path(config_from(arguments).serve.keys)
    if arguments.action == "add":
        key, whole = add_key(
            path,
            arguments.name,
            [scope.strip() for scope in arguments.scopes.split(",")],
            arguments.requests_per_minute,
            arguments.texts_per_day,
            _future(arguments.expires),
        )
        print_line(f"{whole}\nThis is shown only now. {path} keeps its hash; the id is {key.id}.")
    elif arguments.action == "revoke":
        key = revoke_key(path, arguments.id)
        print_line(
            f"{key.id} ({key.name}) {key.refusal(datetime.now(UTC))}; services that run refuse it "
            f"within a second."
        )
    else:
        print_line("\n".join(_table(list(read_keys(path).values()))))


def _future(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"Expected --expires as a day or time such as 2027-01-31; got {text!r}."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise UsageError(f"Expected --expires to lie ahead; got {text!r}.")
    return moment


def _table(keys: "list[Key]") -> list[str]:
    now = datetime.now(UTC)
    rows = [["id", "name", "scopes", "requests/min", "texts/day", "created", "state"]]
    for key in keys:
        limits = [
            f"{limit:,}" if limit else "any"
            for limit in (key.requests_per_minute, key.texts_per_day)
        ]
        until = f"expires on {key.expires:%Y-%m-%d}" if key.expires else "in force"
        state = key.refusal(now) or until
        scopes = ",".join(key.scopes)
        name = printable_cell(key.name)
        rows.append([key.id, name, scopes, *limits, f"{key.created:%Y-%m-%d}", state])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
