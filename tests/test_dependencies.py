"""Declared dependencies are true: every package that the source imports is declared where it is needed."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Rooms that may import more than the runtime, and the extra that brings it.
EXTRAS = {
    "client": "client",
    "monitor": "postgres",
    "predict": "openvino",
    "score": "parquet",
    "tables": "parquet",
    "serve": "tracing",
    "signing.py": "sign",
    "track": "track",
    **dict.fromkeys(["data", "evaluate", "export", "html.py", "markdown.py", "train"], "train"),
}
OPENTELEMETRY = {  # one import name, several distributions
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-api",
}
MOST = 11
# Used by their names or by another package, never imported.
NOT_IMPORTED = {"opentelemetry-exporter-otlp-proto-http", "tensorboard", "alembic"}


def declared(*extras: str) -> set[str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][name] for name in extras)]
    return {canonicalize_name(Requirement(text).name) for texts in lists for text in texts}


def imported(folder: Path) -> dict[str, set[str]]:
    """Distributions that a folder's files import, each with the rooms that do."""
    found: dict[str, set[str]] = {}
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                for distribution in distributions(name):
                    found.setdefault(distribution, set()).add(file.relative_to(folder).parts[0])
    return found


def distributions(module: str) -> list[str]:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "linnet":
        return []
    for prefix, name in OPENTELEMETRY.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return [name]
    known = PACKAGES.get(top, [])
    assert known, f"{module} is imported and no installed distribution has it"
    return [canonicalize_name(known[0])]


PACKAGES = packages_distributions()
SOURCE = imported(ROOT / "src" / "linnet")


@pytest.mark.parametrize("distribution", sorted(SOURCE))
def test_what_the_source_imports_is_declared(distribution):
    for room in SOURCE[distribution]:
        extras = [EXTRAS[room]] if room in EXTRAS else []
        assert distribution in declared(*extras), f"{room} imports {distribution}"


def test_what_is_declared_is_imported():
    extras = ["client", "parquet", "train", "openvino", "tracing", "postgres", "sign", "track"]
    assert declared(*extras) - set(SOURCE) - NOT_IMPORTED == set()


def test_every_dependency_has_a_floor_and_the_runtime_is_small():
    assert len(PROJECT["dependencies"]) <= MOST
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(text) for texts in lists for text in texts):
        floors = [item for item in requirement.specifier if item.operator in (">=", "==")]
        assert floors or requirement.name == PROJECT["name"], f"{requirement} has no floor"


def test_the_words_for_one_package_agree_on_its_floor():
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    floors: dict[str, set[str]] = {}
    for requirement in (Requirement(text) for texts in lists for text in texts):
        floors.setdefault(canonicalize_name(requirement.name), set()).add(
            str(requirement.specifier)
        )
    assert {name: found for name, found in floors.items() if len(found) > 1} == {}
