"""Files to score, and a short way to score them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linnet.config import load_config
from linnet.score import Scored, score

Run = Callable[..., tuple[bytes, Scored]]


@pytest.fixture(scope="session")
def scored(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Score some bytes under a file name; gives the bytes written and what was done. Settings are of `[score]`."""

    def run(
        name: str, content: bytes, out: str = "", bundle: Path = bundle, **settings: Any
    ) -> tuple[bytes, Scored]:
        folder = tmp_path_factory.mktemp("scored")
        (folder / name).write_bytes(content)
        target = folder / "out" / (out or name)
        target.parent.mkdir()
        overrides = {f"score.{key}": value for key, value in settings.items()} | {
            "predict.num_threads": 1
        }
        done = score(load_config(overrides=overrides), bundle, folder / name, target)
        assert [path.name for path in target.parent.iterdir()] == [target.name]
        return target.read_bytes(), done

    return run
