"""The walls of the house, read from the source: which room imports which, and which package may appear where."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "linnet"

# A room imports only rooms to its left, in a chain that holds both. "linnet" is the package's own public face.
FOUNDATION = (
    "no_telemetry child wilson errors printable links files resume terminal progress lineage pii "
    "mini config run_folder seams text labels tables surprise bundle signing"
).split()
RUN_SIDE = [*FOUNDATION, *"client predict linnet score monitor serve".split()]
BUILD_SIDE = [
    *FOUNDATION,
    *"markdown html predict linnet data evaluate train export build track project cluster".split(),
]
EDGE = ["cloud", "cli"]
# Large rooms have an order of their own.
ORDERS = {
    "data": "sources group clean split audit card compare previous prepare unlabelled".split(),
    "train": (
        "curve distributed hub_card tokenizer_config encoder network objective loop tensorboard "
        "resume runner checkpoint training_data train distil tune"
    ).split(),
    "monitor": (
        "prediction_log evidence reference accuracy drift experiment labels decision results alarms "
        "page publish"
    ).split(),
    "serve": "request_id errors middleware models telemetry routes app listen server".split(),
}
BUILD_ONLY = set(BUILD_SIDE) - set(RUN_SIDE)

# Every other package is a mistake, as is one of these in another room.
PACKAGES = {
    "pydantic": "config bundle client monitor serve",
    "numpy": "surprise predict score monitor serve data evaluate train export track cluster",
    "cryptography": "signing",
    "tokenizers": "seams text train",
    "rich": "progress cli",
    "fastapi": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "httptools": "serve",
    "psycopg": "monitor",
    "anyio": "serve",
    "prometheus_client": "serve",
    "opentelemetry": "serve",
    "httpx2": "client",
    "onnxruntime": "predict export",
    "openvino": "predict export",
    "nncf": "export",
    "onnx": "export",
    "onnxscript": "export",
    "torch": "train export cluster",
    "transformers": "train export cluster",
    "safetensors": "train export cluster",
    "huggingface_hub": "data train",
    "py3langid": "data",
    "optuna": "train",
    "sqlalchemy": "train track",
    "requests": "track",  # of mlflow: its errors pass through
    "pyarrow": "tables data score",
    "ftfy": "data",
    "sklearn": "data evaluate",
    "scipy": "data evaluate",
    "matplotlib": "html data evaluate",
    "jinja2": "markdown html data evaluate",
    "markupsafe": "html data evaluate train",
    "mlflow": "track",
    "ray": "cluster",
    "boto3": "cloud",
}


@dataclass(frozen=True)
class Import:
    """One import statement's target, and whether it stands inside a function without a guard."""

    target: str
    hidden: bool


def room_of(module: str) -> str:
    """The room a module of linnet lies in; the package itself is the room "linnet"."""
    return module.split(".")[1] if "." in module else module


def modules(source: Path) -> dict[str, Path]:
    """Dotted module name to file."""
    found = {}
    for file in sorted(source.rglob("*.py")):
        parts = ["linnet", *file.relative_to(source).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(module: str, file: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Every import of a file, TYPE_CHECKING and function bodies included."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, inside: bool, guarded: bool) -> Iterator[Import]:
        hidden = inside and not guarded
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, hidden)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(full if full in known else base, hidden)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"import_module", "__import__"}:
                yield Import("(by name)", hidden=True)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = guarded or (
            isinstance(node, ast.Try) and any(catches_import_error(h) for h in node.handlers)
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside, guarded)

    yield from visit(ast.parse(file.read_text(encoding="utf-8")), inside=False, guarded=False)


def catches_import_error(handler: ast.ExceptHandler) -> bool:
    return (
        handler.type is not None
        and {"ImportError", "ModuleNotFoundError"}
        & {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
        != set()
    )


def may_import(importer: str, imported: str) -> bool:
    """Whether one room may import another."""
    if importer == imported or importer == "cli":
        return True
    if importer == "cloud":
        return imported != "cli"
    chain = BUILD_SIDE if importer in BUILD_ONLY else RUN_SIDE
    return imported in chain and chain.index(imported) < chain.index(importer)


def allowed(package: str, room: str) -> bool:
    """Whether a third-party package may appear in a room."""
    return room in PACKAGES.get(package, "").split()


def violations(source: Path) -> list[str]:
    """Every breach of the walls in a source tree, as sentences."""
    known = modules(source)
    found = []
    graph: dict[str, set[str]] = {module: set() for module in known}
    for module, file in known.items():
        room = room_of(module)
        if room not in {*RUN_SIDE, *BUILD_SIDE, *EDGE}:
            found.append(f"{module} is a room that the design does not have")
        for entry in imports(module, file, known):
            top = entry.target.partition(".")[0]
            if (
                entry.hidden
                and room != "cli"
                and not (module == "linnet" and entry.target == "(by name)")
            ):
                found.append(f"{module} imports {entry.target} inside a function")
            if top == "linnet":
                if entry.target != module:
                    graph[module].add(entry.target)
                if not may_import(room, room_of(entry.target)):
                    found.append(f"{module} imports {entry.target} against the order")
            elif not (
                entry.target == "(by name)" or top in sys.stdlib_module_names or allowed(top, room)
            ):
                found.append(f"{module} imports the package {top}")
    return found + [f"{' -> '.join(cycle)} is a cycle" for cycle in cycles(graph)]


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Import cycles between modules, each once."""
    found, done = [], set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def test_the_source_keeps_the_walls():
    assert violations(SOURCE) == []


def test_telemetry_is_off_before_any_other_package_is_imported():
    """`linnet/__init__.py` runs before every other module of Linnet."""
    body = ast.parse((SOURCE / "__init__.py").read_text()).body
    calls = [ast.unparse(node) for node in body if isinstance(node, ast.Expr)]
    assert "turn_off()" in calls
    known = modules(SOURCE)
    for module in ("linnet", "linnet.no_telemetry"):
        found = {entry.target.partition(".")[0] for entry in imports(module, known[module], known)}
        assert found <= sys.stdlib_module_names | {"linnet", "(by name)"}, module


@pytest.mark.parametrize("room", ORDERS)
def test_a_large_room_keeps_its_own_order(room: str):
    order = ORDERS[room]
    known = modules(SOURCE)
    for module, file in known.items():
        if not module.startswith(f"linnet.{room}."):
            continue
        part = module.split(".")[2]
        for entry in imports(module, file, known):
            if entry.target.startswith(f"linnet.{room}."):
                other = entry.target.split(".")[2]
                assert other == part or order.index(other) < order.index(part), (
                    f"{module} imports {entry.target}"
                )


def test_the_source_was_read():
    known = modules(SOURCE)
    assert {"linnet", "linnet.errors", "linnet.bundle", "linnet.serve", "linnet.cli.main"} <= set(
        known
    )
    assert Import("linnet.errors", hidden=False) in set(
        imports("linnet.bundle", known["linnet.bundle"], known)
    )


def make_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in {
        "__init__.py": "",
        "errors.py": "",
        "serve/__init__.py": "",
        **files,
    }.items():
        file = root / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return root


IN_FUNCTION = "def f():\n    {}\n"
TYPE_ONLY = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\n"


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        (
            "serve/app.py",
            "import linnet.train",
            "linnet.serve.app imports linnet.train against the order",
        ),
        (
            "serve/app.py",
            "from linnet import train",
            "linnet.serve.app imports linnet.train against the order",
        ),
        (
            "serve/app.py",
            "from ..train import fit",
            "linnet.serve.app imports linnet.train against the order",
        ),
        (
            "predict/a.py",
            TYPE_ONLY.format("from linnet.data import read_split"),
            "linnet.predict.a imports linnet.data",
        ),
        (
            "predict/a.py",
            "try:\n    import linnet.export\nexcept ImportError:\n    pass",
            "against the order",
        ),
        (
            "bundle.py",
            "from linnet.html import render",
            "linnet.bundle imports linnet.html against the order",
        ),
        (
            "errors.py",
            "from linnet.files import digest",
            "linnet.errors imports linnet.files against the order",
        ),
        (
            "text.py",
            "from linnet.bundle import Bundle",
            "linnet.text imports linnet.bundle against the order",
        ),
        (
            "train/a.py",
            "import linnet.serve",
            "linnet.train.a imports linnet.serve against the order",
        ),
        (
            "data/a.py",
            "import linnet.evaluate",
            "linnet.data.a imports linnet.evaluate against the order",
        ),
        ("cloud/a.py", "import linnet.cli", "linnet.cloud.a imports linnet.cli against the order"),
        ("bundle.py", "from linnet import load", "linnet.bundle imports linnet against the order"),
        ("predict/a.py", "import torch", "linnet.predict.a imports the package torch"),
        (
            "serve/app.py",
            IN_FUNCTION.format("import onnxruntime"),
            "linnet.serve.app imports the package onnxruntime",
        ),
        (
            "train/a.py",
            "from fastapi.responses import Response",
            "linnet.train.a imports the package fastapi",
        ),
        ("train/a.py", "import requests", "linnet.train.a imports the package requests"),
        (
            "train/a.py",
            IN_FUNCTION.format("import torch"),
            "linnet.train.a imports torch inside a function",
        ),
        (
            "train/a.py",
            "f = lambda: __import__('torch')",
            "linnet.train.a imports (by name) inside a function",
        ),
        (
            "train/a.py",
            "from importlib import import_module as i\nimport importlib\nimportlib.import_module('x')",
            "by name",
        ),
        ("utils.py", "", "linnet.utils is a room that the design does not have"),
        (
            "serve/b.py",
            "import linnet.serve.c",
            "linnet.serve.b -> linnet.serve.c -> linnet.serve.b is a cycle",
        ),
        ("serve/b.py", TYPE_ONLY.format("from linnet.serve.c import x"), "is a cycle"),
    ],
)
def test_each_breach_is_found(tmp_path, file, text, complaint):
    rooms = ("data", "train", "export", "evaluate", "predict", "cli", "cloud")
    tree = {f"{room}/__init__.py": "" for room in rooms}
    tree |= {"html.py": "", "files.py": "", "bundle.py": "", "serve/c.py": "import linnet.serve.b"}
    tree |= {"serve/b.py": ""} | {file: text}
    found = violations(make_tree(tmp_path / "linnet", tree))
    assert any(complaint in sentence for sentence in found), found


def test_an_honest_tree_has_none(tmp_path):
    tree = {
        "__init__.py": "def __getattr__(name):\n    import_module(name)\n",
        "files.py": "import json\nfrom linnet.errors import StorageError\n",
        "cli/run.py": IN_FUNCTION.format("from linnet.train import fit"),
        "train/__init__.py": "try:\n    import torch\nexcept ModuleNotFoundError as e:\n    raise E from e\n",
        "train/loop.py": "import torch\nfrom linnet.evaluate import metrics\n",
        "evaluate/__init__.py": "",
        "evaluate/metrics.py": "def f():\n    try:\n        import scipy\n    except ImportError:\n        pass\n",
    }
    assert violations(make_tree(tmp_path / "linnet", tree)) == []
