"""Write docs/openapi.json, and what is generated of docs/reference.md: settings, commands, routes, metrics, errors.

python scripts/reference.py          # write them
python scripts/reference.py --check  # exit 1 where the file is behind the code
"""

import argparse
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from linnet import errors
from linnet.cli.main import build_parser
from linnet.monitor.alarms import Gauge
from linnet.predict import Prediction
from linnet.serve.app import openapi
from linnet.serve.middleware.access import FREE, NEEDED, NEEDED_BELOW
from linnet.serve.middleware.keys import SCOPES
from linnet.serve.telemetry.metrics import ArmStatus, Metrics
from linnet.serve.telemetry.monitor_status import MonitorStatus
from linnet.serve.telemetry.service_status import ServiceStatus

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE, OPENAPI = DOCS / "reference.md", DOCS / "openapi.json"


def settings() -> str:
    """One table a section of defaults.toml; a setting's comment is its meaning."""
    source = files("linnet").joinpath("defaults.toml").read_text(encoding="utf-8")
    values, lines, section, comment = tomllib.loads(source), [], "", []
    for line in source.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section, comment = header[1], []
            lines += [
                "",
                f"### `[{section}]`",
                "",
                "| setting | default | meaning |",
                "|---|---|---|",
            ]
        elif line.startswith("#"):
            comment.append(line.lstrip("# "))
        elif setting := re.match(r"(\w+) = (.*)", line):
            assert setting[1] in values[section]
            lines.append(f"| `{section}.{setting[1]}` | `{setting[2]}` | {' '.join(comment)} |")
            comment = []
        else:
            comment = []
    return "\n".join(lines)


def commands() -> str:
    """One table of flags a command."""
    lines = []
    for name, command in _subcommands("linnet", build_parser()):
        lines += ["", f"### `{name}`", "", (command.description or "").strip(), ""]
        lines += ["| argument | meaning |", "|---|---|"]
        for action in command._actions:
            if action.help == argparse.SUPPRESS:
                continue
            flags = ", ".join(action.option_strings) or action.dest.upper()
            metavar = (
                " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
            )
            value = f" {metavar}" if action.option_strings and metavar else ""
            lines.append(f"| `{flags}{value}` | {action.help} |")
    return "\n".join(lines)


def _subcommands(
    name: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part, command in action.choices.items():
                yield f"{name} {part}", command
                yield from _subcommands(f"{name} {part}", command)


def routes() -> str:
    """One row a route, from the service's own OpenAPI."""
    lines = ["| route | what it does | answers |", "|---|---|---|"]
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            lines.append(
                f"| `{method.upper()} {path}` | {operation['summary']} | {', '.join(sorted(operation['responses']))} |"
            )
    return "\n".join(lines)


def scopes() -> str:
    """Which scope of a key opens which route."""
    lines = ["| scope | opens |", "|---|---|"]
    needed = NEEDED | {f"{start}...": scope for start, scope in NEEDED_BELOW.items()}
    for scope in SCOPES:
        lines.append(
            f"| `{scope}` | {', '.join(f'`{path}`' for path, needs in needed.items() if needs == scope)} |"
        )
    lines.append(f"| no key | {', '.join(f'`{path}`' for path in FREE)} |")
    return "\n".join(lines)


def metrics() -> str:
    """One row a metric of the service's own."""
    seen = Metrics(
        lambda: ServiceStatus(
            True,
            0,
            0,
            0.0,
            1,
            (os.getpid(),),
            0,
            0,
            0,
            0,
            True,
            False,
            {("a", "all"): 0.0},
            {"a": False},
        )
    )
    seen.observe_request("/", 200, 0.0)
    seen.observe_answer("", Prediction("", 1.0, {}, False, ("",)))
    seen.observe_batch("", 1, 1, 1, 0.0)
    seen.set_arms([ArmStatus("", "champion", 1.0, "", "", "", "")])
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for family in seen.registry.collect():
        if family.name.startswith("linnet_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in family.samples[0].labels if label != "le")
            lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    for gauge in monitor_gauges():
        labels = ", ".join(f"`{label}`" for label in gauge.labels)
        lines.append(f"| `{gauge.name}` | gauge | {labels} | {gauge.meaning} |")
    return "\n".join(lines)


def monitor_gauges() -> list[Gauge]:
    """What monitoring adds to the metrics."""
    status = MonitorStatus(Path("no such folder"))
    status.refresh()
    return list(status.gauges())


def exceptions() -> str:
    """One row an exception."""
    lines = ["| exception | code | exit | HTTP | when |", "|---|---|---|---|---|"]
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.LinnetError):
            when = (error.__doc__ or "").strip().splitlines()[0]
            lines.append(
                f"| `{name}` | `{error.code}` | {error.exit_code} | {error.http_status} | {when} |"
            )
    return "\n".join(lines)


def filled(text: str) -> str:
    """The reference with every generated block written anew."""
    for block in (settings, commands, routes, scopes, metrics, exceptions):
        start, end = f"<!-- {block.__name__} -->", f"<!-- /{block.__name__} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        assert rest and after is not None, f"docs/reference.md has no block {start}"
        text = f"{before}{start}\n{block().strip()}\n{end}{after}"
    return text


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a file is behind"
    )
    arguments = parser.parse_args()
    described = json.dumps(openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    wanted = {REFERENCE: filled(REFERENCE.read_text(encoding="utf-8")), OPENAPI: described}
    for file, content in wanted.items():
        if arguments.check and (not file.exists() or file.read_text(encoding="utf-8") != content):
            sys.exit(f"docs/{file.name} is behind the code: run `python scripts/reference.py`")
        if not arguments.check:
            file.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
