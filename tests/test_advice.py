"""Advice that holds: what a message tells people to do exists, and works on the input that raised it.

The messages are read from the source. A message that gives a step to follow (a command, a flag with a
value) must be raised by a scenario below, which follows the step as it is written, or be listed with a
reason why that can't be done in a test.
"""

import argparse
import ast
import contextlib
import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from linnet.cli.main import build_parser, main
from linnet.config import defaults

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "linnet"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

COMMAND = re.compile(r"linnet ([a-z]+)(?= |`|$|\.|,|;)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SETTING = re.compile(rf"(?<![\w./-])({'|'.join(defaults())})\.([a-z][a-z_0-9]+)(?![\w./])")
PIP = re.compile(r"pip install (?:--?\S+ )*'?(?P<name>[\w.-]+)(\[(?P<extra>\{?[\w,]+\}?)\])?")
STEP = re.compile(
    r"`linnet [a-z]|`\{command\(|linnet (serve|train) [{-]|pip install|(?<!\w)(iconv|jq|tr) -?[-'a-z]|--set ['a-z]"
    r"|--(text-column|prefix|label-separator) ['\d]|--prefix new_|--data FILE"
)
NOT_SETTINGS = {
    "train.parquet",
    "validation.parquet",
    "test.parquet",
    "model.onnx",
    "model.safetensors",
    "experiment.json",
}

# The commands whose messages a file may raise; the first part of the path that is named decides.
RAISED_BY = {
    "cli/": None,  # the file's own name
    "data/unlabelled": ["distil"],
    "monitor/alarms": ["monitor"],
    "monitor/decision": ["decide"],
    "monitor/drift": ["monitor"],
    "monitor/experiment": ["experiment"],
    "monitor/labels/answer": ["labels"],
    "monitor/labels/training": ["labels"],
    "monitor/labels": ["queue"],
    "project/": ["init"],
    "track/fetch": ["fetch"],
    "track/": ["promote"],
    "data/": ["prepare", "run"],
    "evaluate/": ["evaluate", "run"],
    "export/": ["export", "run"],
    "train/tune": ["tune"],
    "train/distil": ["distil"],
    "train/": ["train", "run"],
    "score/": ["score"],
    "serve/": ["serve"],
    "predict/": ["serve", "score", "evaluate"],
    "tables/": ["prepare", "run", "score"],
    "signing": ["sign"],
    "run_folder": ["run"],
    "resume": ["train", "distil", "score", "run"],
}
# Flags of other programs, or of a command that the message itself names.
FOREIGN_FLAGS = {"--force-reinstall", "--no-deps", "--compare"}


@dataclass(frozen=True)
class Message:
    """A text in the source; what is put in at run time is in braces."""

    file: str
    line: int
    text: str

    def matches(self, shown: str) -> bool:
        """Whether a text that was shown holds this message."""
        parts = re.split(r"\{[^{}]*\}", self.text)
        return bool(re.search(".*".join(map(re.escape, parts)), shown, re.DOTALL))


def messages() -> Iterator[Message]:
    """Every text of the source that is no docstring."""
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        name = file.relative_to(SOURCE).as_posix()
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in ast.walk(node)} - {id(node)}
                if id(node) not in inner:
                    yield Message(name, node.lineno, "".join(map(_part, node.values)))
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in inner
            ):
                yield Message(name, node.lineno, node.value)


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    return "{" + re.sub(r"[{}]", "", ast.unparse(node.value)) + "}"


MESSAGES = [message for message in messages() if " " in message.text]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Each command's own parser."""
    actions = build_parser()._actions
    (commands,) = (action for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


PARSERS = parsers()


def flags_of(command: str) -> set[str]:
    found: set[str] = set()
    for action in PARSERS[command]._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for parser in action.choices.values():
                found |= {flag for item in parser._actions for flag in item.option_strings}
    return found


def ids(message: Message) -> str:
    return f"{message.file}:{message.line}"


def having(pattern: re.Pattern[str]) -> list[Message]:
    return [message for message in MESSAGES if pattern.search(message.text)]


@pytest.mark.parametrize("message", having(COMMAND), ids=ids)
def test_every_command_that_a_message_names_exists(message):
    for name in COMMAND.findall(message.text):
        if f"`linnet {name}" in message.text or f": linnet {name}" in message.text:
            assert name in PARSERS, message


@pytest.mark.parametrize("message", having(FLAG), ids=ids)
def test_every_flag_that_a_message_names_is_one_of_its_commands(message):
    commands = COMMAND.findall(message.text)
    named = [name for name in commands if name in PARSERS]
    if not named:
        named = next(
            (
                commands if commands else [Path(message.file).stem]
                for prefix, commands in RAISED_BY.items()
                if message.file.startswith(prefix)
            ),
            list(PARSERS),
        )
    known = {name: flags_of(name) for name in named if name in PARSERS}
    if not known:  # cli/options.py and cli/main.py speak for all
        known = {"any": {flag for name in PARSERS for flag in flags_of(name)}}
    flags = set(FLAG.findall(message.text)) - FOREIGN_FLAGS
    assert flags <= set().union(*known.values()), message
    for command, has in known.items():  # each command has one of the ways that are named
        assert not flags or flags & has, f"`linnet {command}` has none of {flags}: {message}"


@pytest.mark.parametrize("message", having(SETTING), ids=ids)
def test_every_setting_that_a_message_names_exists(message):
    for section, key in SETTING.findall(message.text):
        if f"{section}.{key}" not in NOT_SETTINGS:
            assert key in defaults()[section], message


@pytest.mark.parametrize("message", having(PIP), ids=ids)
def test_every_installation_that_a_message_names_is_this_distribution(message):
    for match in PIP.finditer(message.text):
        declared = [text for text in PROJECT["dependencies"] if text.startswith(match["name"])]
        assert match["name"] == PROJECT["name"] == "linnet-text" or declared, message
        extra = match["extra"] or ""
        assert not extra or extra.startswith("{") or extra in PROJECT["optional-dependencies"], (
            message
        )


def test_every_extra_that_the_source_asks_for_exists():
    text = "".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py"))
    asked = re.findall(r"MissingExtraError\([^,()]+, \"([a-z]+)\"\)", text)
    assert asked and set(asked) <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("extra", ["client", "parquet"])
def test_pip_finds_an_extra_of_what_is_installed(extra):
    """The command of MissingExtraError, for packages that are here, without an index."""
    from linnet.errors import MissingExtraError

    found = re.search(r"pip install '([^']+)'", str(MissingExtraError("x", extra)))
    assert found
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", found[1]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


TEXTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/Dockerfile", "Makefile")
] + sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_docs_name_the_distribution(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"pip install\s+(-\S+\s+)*['\"]?linnet(?!-text)\b", text)
    assert not re.search(r"(?<![\w/-])linnet\[", text)


def test_the_docs_say_that_it_is_not_published():
    for name in ("README.md", "docs/install.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(r"not published yet: `pip install \.`", text), name


# --- Followed --------------------------------------------------------------------------------------

FEW = [f"a good day {number}" for number in range(40)]


def table(
    path: str, encoding: str = "utf-8", end: str = "\n", labels: tuple[str, ...] = ("pos", "neg")
) -> str:
    rows = ["text,label", *(f"{text} café,{labels[i % len(labels)]}" for i, text in enumerate(FEW))]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes((end.join(rows) + end).encode(encoding))
    return path


@dataclass
class Job:
    """A command line that is refused, in a folder of its own.

    Attributes:
        bundle: The tiny bundle, to read.
        tones: The one of several labels.
        shown: What was shown so far.
    """

    bundle: Path
    tones: Path
    run: Callable[[list[str]], tuple[int, str]]
    shown: list[str]

    def follow(self, arguments: list[str], file: str = "", most: int = 2) -> None:
        """Run, then follow the advice and run again; fails unless that succeeds."""
        for _ in range(most + 1):
            code, shown = self.run(arguments)
            if code == 0:
                return
            arguments, file = self.advised(arguments, file, shown)
        raise AssertionError(f"The advice does not hold: {shown}")

    def advised(self, arguments: list[str], file: str, shown: str) -> tuple[list[str], str]:
        """The command line once the step that a message tells has been taken."""
        if found := re.search(
            r"(?<!\w)((iconv|jq|tr) [^\n]*?)(\.? \(|\. |\.?$|, or )", shown.strip()
        ):
            new = self.shell(found[1], file)
            return [new if part == file else part for part in arguments], new
        if found := re.search(r"`(linnet [^`]+)`", shown):
            step = shlex.split(found[1].replace("NAME", "somebody"))[1:]
            if step[0] == "optimize":
                step += ["--budget", "0.1"]
            code, why = self.run(step)
            assert code == 0, why
            return arguments, file
        if found := re.search(
            r"--(set|text-column|prefix|label-separator|data) (?=['\w]\S)", shown
        ):
            return [*arguments, f"--{found[1]}", first_word(shown[found.end() :])], file
        if "--text-column" in shown and "by position from 0" in shown:
            return [*arguments, "--text-column", "0"], file
        no_format = "show its format" in shown or "could not be recognised" in shown
        if no_format and Path(file).suffix == ".json":
            new = str(Path(file).rename(f"{file}l"))
            return [new if part == file else part for part in arguments], new
        if "--overwrite" in shown:
            return [*arguments, "--overwrite"], file
        if "another --out" in shown or "with --out" in shown:
            return [*arguments, "--out", "other" + Path(arguments[2]).suffix], file
        raise AssertionError(f"No step to follow in: {shown}")

    @staticmethod
    def shell(command: str, file: str) -> str:
        """Take a step in the shell; gives the file that it makes."""
        command = command.replace("ENCODING", "cp037").strip()
        if " > " not in command:
            command = f"{command} < {shlex.quote(file)} > followed-{Path(file).name}"
        command = command.replace("< FILE", f"< {shlex.quote(file)}").replace("> NEW", "> new.csv")
        subprocess.run(["bash", "-ec", command], check=True)
        return shlex.split(command)[-1]


def first_word(text: str) -> str:
    """The first word as a shell reads it, without the punctuation of the sentence."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split = True
    word = next(lexer)
    return word if text.startswith("'") else word.rstrip(".,;")


SCENARIOS: dict[str, Callable[[Job], None]] = {}


def scenario(function: Callable[[Job], None]) -> Callable[[Job], None]:
    SCENARIOS[function.__name__] = function
    return function


def prepare(file: str, *more: str) -> list[str]:
    return ["prepare", "--data", file, *more, "--set", "data.noise_sample=0"]


@scenario
def a_label_that_is_not_configured(job: Job) -> None:
    job.follow(prepare(table("rows.csv"), "--set", "data.labels=['pos']"))


@scenario
def a_label_with_a_quote_that_is_not_configured(job: Job) -> None:
    job.follow(prepare(table("rows.csv", labels=("it's", "pos")), "--set", "data.labels=['pos']"))


@scenario
def bytes_that_are_not_utf_8(job: Job) -> None:
    job.follow(prepare(table("rows.csv", "latin-1")))


@scenario
def an_encoding_that_is_not_the_files(job: Job) -> None:
    path = Path(table("rows.csv", "latin-1"))
    path.write_bytes(path.read_bytes().replace(b"caf\xe9", b"caf\x81"))
    job.follow(prepare("rows.csv", "--set", "data.encoding=cp1252"))


@scenario
def two_bytes_a_character_with_a_mark(job: Job) -> None:
    job.follow(prepare(table("deep er/ro ws.csv", "utf-16")), "deep er/ro ws.csv")


@scenario
def two_bytes_a_character_without_a_mark(job: Job) -> None:
    job.follow(prepare(table("rows.csv", "utf-16-le")), "rows.csv")


@scenario
def an_encoding_in_which_ascii_is_not_itself(job: Job) -> None:
    code, shown = job.run(prepare(table("rows.csv", "cp037"), "--set", "data.encoding=cp037"))
    assert code and (step := re.search(r"iconv -f ENCODING -t UTF-8", shown))
    assert job.run(prepare(job.shell(step[0], "rows.csv")))[0] == 0


@scenario
def lines_that_end_in_carriage_returns(job: Job) -> None:
    job.follow(prepare(table("rows.csv", end="\r")), "rows.csv")


@scenario
def a_list_of_objects(job: Job) -> None:
    rows = [{"text": text, "label": "pn"[i % 2]} for i, text in enumerate(FEW)]
    for name in ("rows.jsonl", "rows.json"):
        Path(name).write_text(json.dumps(rows), encoding="utf-8")
        job.follow(prepare(name), name)
    Path("rows.jsonl").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    job.follow(prepare("rows.jsonl"), "rows.jsonl")


@scenario
def a_list_among_objects(job: Job) -> None:
    rows = [{"text": text, "label": "pn"[i % 2]} for i, text in enumerate(FEW)]
    lines = [*map(json.dumps, rows[:20]), json.dumps(rows[20:])]
    Path("rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    job.follow(prepare("rows.jsonl"), "rows.jsonl")


@scenario
def an_object_around_the_rows(job: Job) -> None:
    rows = [{"text": text, "label": "pn"[i % 2]} for i, text in enumerate(FEW)]
    Path("all.json").write_text(json.dumps({"version": "1", "data": rows}), encoding="utf-8")
    job.follow(prepare("all.json"), "all.json")


@scenario
def several_labels_of_one_row(job: Job) -> None:
    rows = [{"text": text, "label": [["p"], ["n", "p"]][i % 2]} for i, text in enumerate(FEW)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    job.follow(prepare("rows.jsonl"))


@scenario
def classes_with_one_row(job: Job) -> None:
    rows = [
        {"text": text, "label": f"rare{i}" if i < 3 else "pn"[i % 2]} for i, text in enumerate(FEW)
    ]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    job.follow(prepare("rows.jsonl"))


@scenario
def no_source(job: Job) -> None:
    code, shown = job.run(["prepare", "--data", ""])
    assert code and "'generated': name it with --data" in shown
    assert job.run(prepare("generated", "--sample", "200"))[0] == 0


@scenario
def labels_edited_in_place(job: Job) -> None:
    table("rows.csv")
    assert job.run(["prepare", "--data", "rows.csv"])[0] == 0
    suspects = Path("splits/suspects.csv")
    suspects.write_bytes(suspects.read_bytes() + b"edited\n")
    code, shown = job.run(["prepare", "--data", "rows.csv"])
    if code:
        assert "Move it elsewhere, and name it with --corrections" in shown
        kept = suspects.rename("kept.csv")
        kept.write_bytes(kept.read_bytes().removesuffix(b"edited\n"))
        again = ["prepare", "--data", "rows.csv", "--corrections", "kept.csv"]
        assert job.run(again)[0] == 0


@scenario
def a_column_that_would_be_added_is_there(job: Job) -> None:
    Path("rows.csv").write_text("text,predicted_label\na good day,x\n", encoding="utf-8")
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "out.csv"])


@scenario
def a_file_to_score_without_a_header(job: Job) -> None:
    Path("rows.csv").write_text("a good day,1\na bad day,2\n", encoding="utf-8")
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "out.csv"])


@scenario
def a_file_to_score_that_would_be_replaced(job: Job) -> None:
    table("rows.csv")
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "rows.csv"])
    Path("folder.csv").mkdir()
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "folder.csv"])


@scenario
def other_work_that_was_not_finished(job: Job) -> None:
    from linnet.files import write_text

    table("rows.csv")
    write_text(Path("out.csv.unfinished/state.json"), '{"identity": {"file": "other"}}')
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "out.csv"])
    write_text(Path("out.csv.unfinished/state.json"), "damaged")
    job.follow(["score", str(job.bundle), "rows.csv", "--out", "out.csv"])


@scenario
def a_zip_of_two_files(job: Job) -> None:
    with zipfile.ZipFile("days.zip", "w") as packed:
        for name in ("day1.csv", "day2.csv"):
            packed.writestr(name, Path(table(name)).read_bytes())
    for arguments in (
        prepare("days.zip"),
        ["score", str(job.bundle), "days.zip", "--out", "out.csv"],
    ):
        code, shown = job.run(arguments)
        assert code and "'day1.csv', 'day2.csv'" in shown, shown
        found = re.search(r"days\.zip/(MEMBER|day1\.csv)", shown)
        assert found, shown
        member = found[0].replace("MEMBER", "day1.csv")
        again = [member if part == "days.zip" else part for part in arguments]
        assert job.run(again)[0] == 0


@scenario
def a_packed_file_that_is_called_something_else(job: Job) -> None:
    data = Path(table("plain.csv")).read_bytes()
    Path("rows.csv").write_bytes(gzip.compress(data))
    code, shown = job.run(prepare("rows.csv"))
    step = re.search(r"mv rows\.csv (\S+\.gz)", shown)
    assert code and step
    subprocess.run(["bash", "-ec", step[0]], check=True)
    assert job.run(prepare(step[1]))[0] == 0


@scenario
def several_files_to_score(job: Job) -> None:
    files = [table("two files/a b.csv"), table("two files/c.csv")]
    for arguments in (["two files"], files):
        code, shown = job.run(["score", str(job.bundle), *arguments])
        step = re.search(r"for file in .*; done", shown)
        assert code and step, shown
        # The loop itself, in the shell; each command that it gives is run here.
        loop = f"linnet() {{ printf '%q ' \"$@\"; echo; }}; {step[0]}"
        done = subprocess.run(["bash", "-ec", loop], check=True, capture_output=True, text=True)
        commands = [shlex.split(line) for line in done.stdout.splitlines()]
        assert [command[2] for command in commands] == files
        for command in commands:
            assert job.run(command)[0] == 0
            Path(command[-1]).unlink()


@scenario
def files_without_a_header(job: Job) -> None:
    for name in ("a.csv", "b.csv"):
        path = Path(table(f"shards/{name}"))
        rows = path.read_text(encoding="utf-8").split("\n", 1)[1]
        path.write_text(f"the first of {name},pos\n{rows}", encoding="utf-8")
    code, shown = job.run(prepare("shards"))
    step = re.search(r"--text-column 0 --label-column 1", shown)
    assert code and step, shown
    assert job.run(prepare("shards", *step[0].split()))[0] == 0


@scenario
def no_keys(job: Job) -> None:
    for more in ([], ["--keys", "other keys.json"]):
        job.follow(["keys", "list", *more])
        code, shown = job.run(["keys", "revoke", "0123abcd", *more])
        assert code and "no key of that id" in shown
        step = re.search(r"`linnet ([^`]+)`", shown)
        assert step and job.run(shlex.split(step[1]))[0] == 0


@scenario
def no_keys_to_serve_with(job: Job) -> None:
    from linnet.config import load_config
    from linnet.errors import UsageError
    from linnet.serve.middleware.access import keys_for

    settings = load_config(overrides=["serve.keys=my keys.json"]).serve
    with pytest.raises(UsageError) as caught:
        keys_for(settings, "192.0.2.1")
    job.shown.append(str(caught.value))
    step = re.search(r"`linnet ([^`]+)`", str(caught.value))
    assert step and job.run(shlex.split(step[1]))[0] == 0
    assert keys_for(settings, "192.0.2.1")
    settings = load_config(overrides=["serve.no_auth=true"]).serve
    assert keys_for(settings, "192.0.2.1") is None


@scenario
def a_broken_choice_for_this_host(job: Job) -> None:
    shutil.copytree(job.bundle, "my bundle")
    Path("my bundle/host.json").write_text("broken")
    table("rows.csv")
    job.follow(["score", "my bundle", "rows.csv", "--out", "out.csv"])


@pytest.fixture
def job(tmp_path, monkeypatch, capsys, request):
    """Runs commands in an empty folder and keeps what they show."""
    monkeypatch.chdir(tmp_path)
    shown: list[str] = request.config.stash.setdefault(SHOWN, [])

    def run(arguments: list[str]) -> tuple[int, str]:
        code = 2
        with contextlib.suppress(SystemExit):
            code = main(arguments)
        out = capsys.readouterr()
        assert "Traceback" not in out.err, out.err
        shown.append(out.out + out.err)
        return code, out.err

    return Job(
        request.getfixturevalue("bundle"), request.getfixturevalue("tone_bundle"), run, shown
    )


SHOWN = pytest.StashKey[list[str]]()


@pytest.mark.parametrize("name", SCENARIOS)
def test_advice_that_is_followed_helps(name, job):
    SCENARIOS[name](job)


# A step that a test can't take, by a part of the message, with the reason.
STATIC_ONLY = {
    "Expected a folder that `linnet": "says what was expected; the command is the stage's own",
    "what `linnet prepare` wrote": "help of a flag",
    "A text classifier: it gives a text": "the model card of a checkpoint",
    "Or serve it: `linnet serve FOLDER`": "the model card; tests/serve starts the service",
    "Serve it with: linnet serve": "tests/serve starts the service on a bundle",
    "until `linnet optimize` has measured": "tells what is served, raises nothing",
    "as `linnet optimize` measured": "a description in the API's schema",
    "`linnet optimize {": "a reason that is logged; the command is followed with a broken choice",
    "`linnet train` fetches it": "needs the model hub",
    "torchrun started several": "needs several processes; tests/train/test_distributed.py",
    "Train it first: linnet train": "trains; the command is parsed above",
    "judge that with `linnet evaluate`": "a note of a study, which trains",
    "Run `linnet prepare` again": "a damaged splits folder is prepared like a new one",
    "Start `linnet tune` several times": "needs several processes; tests/train/test_distributed.py",
    "pip install": "test_pip_finds_an_extra_of_what_is_installed",
    "Export it as it was trained: --set": "tests/export/test_checkpoint.py",
    "Choose another: --set score.label_separator": "tests/score/test_score.py",
    "`linnet evaluate` judges it on rows": "the model card",
    "of a file without them, the text's position": "only a broken header raises it",
    "such as `linnet sign BUNDLE": "says what is expected",
    "or give a local copy with --data FILE": "needs the network",
    "It is not UTF-8": "an answer to one line of a request",
    "Run `linnet export` again.": "an old bundle; the command takes the checkpoint of its run",
    "prepare has no flag --compare": "tests/data/test_compare.py",
    "as `linnet labels LOG --export": "help of a flag",
    "which `linnet track` sets": "help of a flag",
    "of `linnet monitor`": "a description in the API's schema",
    "of `linnet experiment`": "a description in the API's schema",
    "of `linnet decide`": "a description in the API's schema",
    "When `linnet monitor` last ran": "help of a metric",
    "since `linnet monitor` last ran": "help of a metric",
    "Run `linnet experiment LOG` first": "tests/monitor/decision",
    "Run `linnet monitor` and `linnet experiment`": "tests/monitor/decision",
    "There is no experiment.json": "a reason in decision.json; tests/monitor/decision",
    "There is no drift.json": "a reason in decision.json; tests/monitor/decision",
    "labels of the log: `linnet labels": "a sentence of decision.json; tests/monitor/labels",
    "`linnet queue` says which": "a sentence of decision.json; tests/monitor/labels",
    "Another `linnet monitor` works": "needs two processes; tests/monitor/drift",
    "the disagreements with `linnet queue`": "a note in experiment.json",
    "another file with `linnet queue": "tests/monitor/labels",
    "Ask for labels with `linnet queue`": "tests/monitor/labels",
    "`linnet promote {": "needs a store; tests/track",
    "take it with `linnet fetch": "needs a store; tests/track",
    "`linnet track` registers one": "needs a store; tests/track",
    "`linnet export` with export.calibrate": "a line of the gate; tests/track",
    "Run `linnet evaluate`": "needs a store; tests/track",
    "The command is: linnet track": "needs a store; tests/track",
    "Compare it with the champion": "needs a store; tests/track",
    "such as `linnet init reviews`": "tests/project",
    "`linnet init --check` names": "tests/project",
    "which `linnet init` writes": "tests/project",
    "This route takes a key": "an answer of the service; tests/serve/middleware/test_no_keys.py",
}


def test_every_message_with_a_step_was_followed(request):
    """Reads what the scenarios above have shown; those of a whole run of this file."""
    shown = "\n".join(request.config.stash.get(SHOWN, []))
    if not shown:
        pytest.skip("the scenarios did not run in this process")
    missing = [
        f"{message.file}:{message.line}: {message.text}"
        for message in having(STEP)
        if not any(part in message.text for part in STATIC_ONLY)
        and not any(message.matches(line) for line in shown.split("\n"))
    ]
    assert not missing, "\n".join(missing)
