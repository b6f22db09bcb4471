"""Flags that name settings:

a flag's dest is `section.key`, so parsing yields the overrides themselves.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linnet.config import Config

# Flags worth a name of their own; every other setting is reached by --set. Empty metavar: the key's
# own.
FLAGS = {
    "data.source": (
        "--data",
        str,
        "FILE",
        "a CSV, TSV, JSON or Parquet file (.gz .xz .zip too), several of them, a folder, a quoted "
        "pattern, a known set such as sentiment140, or 'generated'",
    ),
    "data.text_column": ("--text-column", str, "NAME", "the column of the text"),
    "data.label_column": ("--label-column", str, "NAME", "the column of the label"),
    "data.label_separator": (
        "--label-separator",
        str,
        "TEXT",
        "the separator of several labels of one row",
    ),
    "data.split_by": (
        "--split-by",
        str,
        "NAME",
        "a column of dates: train on the oldest rows, test on the newest",
    ),
    "data.group_column": (
        "--group-column",
        str,
        "NAME",
        "a column whose values are not torn apart, such as a user",
    ),
    "data.validation_file": (
        "--validation-file",
        str,
        "FILE",
        "a file of its own for the validation split, or several",
    ),
    "data.test_file": (
        "--test-file",
        str,
        "FILE",
        "a file of its own for the test split, or several",
    ),
    "data.added_file": (
        "--add",
        str,
        "FILE",
        "labels that people gave, as `linnet labels LOG --export FILE` writes them",
    ),
    "data.corrections": (
        "--corrections",
        str,
        "FILE",
        "a CSV of texts and the labels they are to have",
    ),
    "data.sample": ("--sample", int, "N", "rows to train and validate on; 0 for all"),
    "data.validation_size": (
        "--validation-size",
        float,
        "SIZE",
        "share below 1, or number of rows",
    ),
    "data.test_size": ("--test-size", float, "SIZE", "share below 1, or number of rows"),
    "model.name_or_path": (
        "--model",
        str,
        "ENCODER",
        "a model hub id, a folder, 'linnet-mini', 'scratch' or 'auto'",
    ),
    "train.num_train_epochs": ("--num-train-epochs", int, "N", "epochs at most"),
    "tune.n_trials": ("--n-trials", int, "N", "trials of the study in all"),
    "tune.timeout": ("--timeout", int, "SECONDS", "begin no trial after so long; 0 for no limit"),
    "distil.texts": (
        "--texts",
        str,
        "FILE",
        "more texts to learn from: a table, or one text per line; may be repeated",
    ),
    "export.cascade": (
        "--cascade",
        str,
        "BUNDLE",
        "a smaller model's bundle, which answers what it is sure of",
    ),
    "evaluate.split": ("--split", str, "NAME", "train, validation or test"),
    "export.max_accuracy_drop": (
        "--max-accuracy-drop",
        float,
        "POINTS",
        "accuracy that INT8 or bfloat16 may cost",
    ),
    "predict.engine": (
        "--engine",
        str,
        "NAME",
        "onnxruntime, openvino, or auto: as chosen for this host",
    ),
    "predict.variant": (
        "--variant",
        str,
        "NAME",
        "such as int8-dynamic, or auto: as chosen for this host",
    ),
    "predict.num_threads": (
        "--num-threads",
        int,
        "N",
        "threads of one batch; 0: as chosen for this host",
    ),
    "score.text_column": (
        "--text-column",
        str,
        "NAME",
        "the column of the text, by name, or by position from 0 if there is no header",
    ),
    "score.format": (
        "--format",
        str,
        "NAME",
        "csv, tsv, jsonl, lines or parquet; by default FILE's name says it",
    ),
    "score.encoding": ("--encoding", str, "NAME", "the encoding of FILE, such as latin-1"),
    "score.prefix": ("--prefix", str, "TEXT", "what the names of the added columns begin with"),
    "score.probabilities": ("--probabilities", bool, "", "add the probability of every label"),
    "serve.host": ("--host", str, "ADDRESS", "address to listen on"),
    "serve.port": ("--port", int, "PORT", "port to listen on; 0 for a free one"),
    "serve.uds": ("--uds", str, "PATH", "listen on a Unix domain socket, not on a port"),
    "serve.keys": ("--keys", str, "FILE", "the file of the keys that requests must carry"),
    "serve.no_auth": ("--no-auth", bool, "", "let everybody in who reaches the service"),
    "serve.log_format": ("--log-format", str, "NAME", "text or json, an object a line"),
    "track.uri": ("--uri", str, "URI", "the MLflow store: sqlite:///FILE or a server's URL"),
    "track.model": ("--model-name", str, "NAME", "the registered model (the bundle's name)"),
    "promote.rule": ("--rule", str, "RULE", "non-inferior, or better: it has to be shown better"),
    "promote.max_accuracy_drop": (
        "--max-accuracy-drop",
        float,
        "POINTS",
        "points of accuracy that the candidate may lose at most",
    ),
    "run.name": ("--name", str, "NAME", "the run's name"),
}


# Flags that take several files; those of commands with arguments after them take one each time.
SEVERAL = {
    "data.source": "+",
    "data.validation_file": "+",
    "data.test_file": "+",
    "data.added_file": "+",
    "distil.texts": None,
}


def add_config_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add `--config`, `--set` and the flags of some settings, by their names in `FLAGS`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: linnet.toml, if any)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="set_overrides",
        help="override one setting; may be repeated",
    )
    for name in names:
        flag, kind, metavar, text = FLAGS[name]
        if name in SEVERAL:
            parser.add_argument(
                flag,
                nargs=SEVERAL[name],
                action="extend" if SEVERAL[name] else "append",
                metavar=metavar,
                dest=name,
                default=None,
                help=text,
            )
        elif kind is bool:
            parser.add_argument(
                flag, action="store_const", const=True, dest=name, default=None, help=text
            )
        else:
            parser.add_argument(
                flag, type=kind, metavar=metavar, dest=name, default=None, help=text
            )


def config_from(
    arguments: argparse.Namespace, base: "Mapping[str, Mapping[str, Any]] | None" = None
) -> "Config":
    """Resolve the settings of a parsed command line.

    A named flag wins over `--set`, which wins over the file, which wins over `base`, which wins
    over the defaults.
    """
    from linnet.config import load_config

    flags = [
        f"{name}={_literal(value)}"
        for name, value in vars(arguments).items()
        if "." in name and value is not None
    ]
    return load_config(arguments.config, [*arguments.set_overrides, *flags], base)


def _literal(value: str | float | list[str]) -> str:
    if isinstance(value, str | bool | list):
        import json

        return json.dumps(value, ensure_ascii=False)
    return str(int(value)) if float(value).is_integer() and value >= 1 else repr(value)
