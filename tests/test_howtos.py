"""Every command of the how-to pages works as it stands there, on small pictures."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main

from grainless import read_picture
from grainless.cli import app
from howto_pages import blocks, commands, is_python, program
from howto_pictures import KINDS, furnish

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TRAINING = ("torch", "lightning", "skimage")
"""What pages need that train and evaluate."""

PAGES: dict[str, tuple[str, ...]] = {
    "README.md": (*TRAINING, "distributed", "fastapi", "uvicorn", "gradio"),
    "docs/scans.md": (),
    "docs/salt-and-pepper.md": ("skimage", "matplotlib"),
    "docs/own-training.md": TRAINING,
    "docs/inspect.md": (),
    "docs/batches.md": (),
    "docs/guard.md": (),
    "docs/large.md": (),
    "docs/cluster.md": ("distributed",),
    "docs/service.md": ("fastapi", "uvicorn"),
    "docs/page.md": ("fastapi", "uvicorn", "gradio"),
}
"""The pages whose commands are run, and the packages that they need beyond the base install."""

ALTERNATIVES = {"README.md", "docs/guard.md", "docs/large.md"}
"""Pages whose commands are ways to do one thing, with one output; the others are walked through in order."""

NOT_RUN = {
    "make": "makes virtual environments; continuous integration runs it",
    "pip install": "installs from a package index",
    "py -m venv": "for Windows",
    "python3 -m venv": "continuous integration does it",
    "python -m pytest": "is a test itself",
    "python scripts/measure_": "measures for minutes to hours",
    "grainless reproduce": "hours of training; tests/test_reproduce.py runs small studies",
    "grainless benchmark": "minutes on a quiet machine; tests/test_benchmark_command.py runs small ones",
    "torchrun": "needs two machines; tests/test_training_team.py tells two processes that they are two",
    "srun": "needs a SLURM cluster; the same test tells what SLURM tells",
    "docker": "no engine for containers is at hand",
}
"""Commands that are not run here, by how they begin, with the reason."""

PYTHON_NOT_RUN = {"SLURMCluster": "needs a SLURM cluster"}
"""Blocks of Python that are not run here, by a word in them, with the reason."""

SMALL = (
    "schedule.steps=2", "schedule.batch=2", "schedule.workers=0", "schedule.precision=32-true",
    "data.patch=[16]", "data.phases=[]", "data.validation_patch=32", "data.validation_limit=1",
)  # fmt: skip
"""What is changed in recipes so that training ends soon, on a busy machine too."""

BEFORE = {
    "README.md": "import numpy as np\npixels = np.zeros((64, 64, 3), np.uint8)\n",
    "docs/guard.md": "import numpy as np\nbefore = after = np.full((64, 64, 3), 99, np.uint8)\n",
}
"""What the Python of a page takes as given."""

BACKGROUND = re.compile(r"(\w+=\S+ )*(grainless serve|dask scheduler|dask worker)\b")
"""Commands that go on until they are stopped."""

KEY = "a-key-for-the-tests-of-the-pages"
"""What the pages keep in `key.txt` and `$KEY`."""


class Stage:
    """A folder with the pictures of the pages, and a shell in which `grainless` is the package under test."""

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self._overwrite = overwrite
        self.folder = furnish(folder / "work")
        self.home = folder / "home"
        self._bin = folder / "bin"
        for place in (self.home, self._bin):
            place.mkdir()
        for name, module in (("grainless", " -m grainless"), ("dask", " -m dask"), ("python", "")):
            program = self._bin / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{module} "$@"\n')
            program.chmod(0o755)
        (self.folder / "key.txt").write_text(KEY + "\n", encoding="utf-8")
        self._python = ""
        self._background: list[subprocess.Popen[str]] = []
        self.port = free_port()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: the user's files are those of the test."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GRAINLESS_")}
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        return kept | {"HOME": str(self.home), "PATH": path, "OMP_NUM_THREADS": "2", "KEY": KEY}

    def shell(self, command: str) -> None:
        """Run a command as it stands in a page, and see that it ends well and leaves what it names."""
        line = self._adapted(command)
        if "--dask" in line and not self._background:
            # A page that shows it among other ways has no cluster of its own.
            self.shell("dask scheduler")
            self.shell(f"dask worker 127.0.0.1:{self.port} --nthreads 1")
        if BACKGROUND.match(line):
            self._start(line)
            return
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        for path in named_outputs(line, self.folder):
            assert path.exists(), f"{command}\nleft no {path.relative_to(self.folder)}:\n{done.stderr}"
            if path.is_file() and path.suffix in KINDS:
                read_picture(path)

    def python(self, code: str) -> None:
        """Run a block of Python behind those before it."""
        self._python += f"\n{code}\n"
        done = subprocess.run(
            [sys.executable, "-c", self._python],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{code}\nfailed:\n{done.stderr}"

    def _adapted(self, command: str) -> str:
        """Return a command with the places of this machine, and quick enough for a test."""
        here = f"127.0.0.1:{self.port}"
        line = re.sub(r"(tcp://host:8786|127\.0\.0\.1:8000|host:8000)", here, command)
        line = line.replace("/shared/", f"{self.folder}/shared/")
        if "grainless serve" in line:
            line = re.sub(r" --(port|host) \S+", "", line.split("#")[0]) + f" --port {self.port}"
        elif line.startswith("dask scheduler"):
            line = f"dask scheduler --host 127.0.0.1 --port {self.port} --no-dashboard"
        elif line.startswith("dask worker"):
            line = f"{line.split('#')[0]} --no-dashboard"
        elif line.startswith("curl"):
            # Without it an answer that is an error is a success.
            fail = "" if "--fail-with-body" in line else " --fail"
            line = line.replace("curl", f"curl{fail} --silent --show-error", 1)
        if self._overwrite and re.match(r"grainless (denoise|corrupt)\b", line):
            line = re.sub(r"(grainless \w+)", r"\1 --overwrite", line, count=1)
        if line.startswith("grainless train") and "--resume" not in line:
            words = shlex.split(line, comments=True)
            line = shlex.join([*words, *(word for change in SMALL for word in ("--set", change))])
        return line

    def _start(self, line: str) -> None:
        """Start what goes on until it is stopped, and wait until it listens, if it does."""
        if "grainless serve" in line:
            self.stop()
        process = subprocess.Popen(
            ["sh", "-c", re.sub(r"((?:\w+=\S+ )*)", r"\1exec ", line, count=1)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._background.append(process)
        if not line.startswith("dask worker"):
            wait_for_port(self.port, process)

    def stop(self) -> None:
        """Stop what goes on."""
        while self._background:
            process = self._background.pop()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"{process.args!r} does not listen on port {port}; it ended with {process.poll()}")


def named_outputs(line: str, folder: Path) -> list[Path]:
    """Return what a command of ours is to leave: what its options name, and a result for each picture."""
    words = shlex.split(line, comments=True)
    if words[0] not in {"grainless", "curl"} or "--dry-run" in words:
        return []
    words = [word for word in words if word != "--overwrite"]
    options = {"-o", "--out", ">"} | (
        {"--json", "--markdown"} if words[1] in {"evaluate", "benchmark"} else set()
    )
    named = [folder / words[i + 1] for i, word in enumerate(words[:-1]) if word in options]
    if words[1] in {"denoise", "corrupt"} and named:
        source = folder / words[2]
        if source.is_dir() and words[3].startswith("-"):
            named += [
                named[0] / path.relative_to(source) for path in source.rglob("*") if path.suffix in KINDS
            ]
    return named


def not_run(command: str) -> bool:
    """Return whether a command is in the list of those that are not run."""
    return command.startswith(tuple(NOT_RUN))


def run_page(text: str, stage: Stage) -> int:
    """Run everything in a page, in order; return how many commands and blocks of Python were run."""
    count = 0
    for block in blocks(text):
        if block.title:
            (stage.folder / block.title).write_text(block.text + "\n", encoding="utf-8")
        elif is_python(block):
            if not any(word in block.text for word in PYTHON_NOT_RUN):
                stage.python(block.text)
                count += 1
        else:
            for command in commands(block):
                if not not_run(command):
                    stage.shell(command)
                    count += 1
    return count


@contextmanager
def open_stage(folder: Path, *, overwrite: bool = False) -> Iterator[Stage]:
    """Set the stage, and leave nothing running."""
    stage = Stage(folder, overwrite=overwrite)
    try:
        yield stage
    finally:
        stage.stop()


def all_pages() -> dict[str, str]:
    """Return the text of all pages of the documentation, by their names."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="the pages' commands are those of a POSIX shell")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page(page: str, tmp_path: Path) -> None:
    file = ROOT / page
    if not file.exists():
        pytest.skip(f"there is no {page}")
    # Not imported here: that takes longer than some of the commands.
    if missing := [package for package in PAGES[page] if find_spec(package) is None]:
        pytest.skip(f"{page} needs an extra that is not installed: {missing}")
    with open_stage(tmp_path, overwrite=page in ALTERNATIVES) as stage:
        if page in BEFORE:
            stage.python(BEFORE[page])
        assert run_page(file.read_text(encoding="utf-8"), stage) >= 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the pages' commands are those of a POSIX shell")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("grainless denoise scan.png -o out.png --strenth 1", "ended with 2"),
        ("grainless inspect nowhere.png", "nowhere.png"),
        ("grainless denoise scans/album/ -o out/ && rm out/page-1.tif", "left no out/page-1.tif"),
    ],
)
def test_a_wrong_command_is_found(command: str, words: str, tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage, pytest.raises(AssertionError, match=words):
        run_page(f"A page:\n\n```sh\n{command}\n```\n", stage)


def test_what_is_code_in_a_page_and_what_is_a_command() -> None:
    page = """# Title

    grainless denoise a.png -o b.png   # a comment
    [section]
    KEY=1 grainless serve

- a list
    grainless not this, as it is text

```toml title="own.toml"
grainless = 1
```

```sh
cp a b
grainless evaluate --data x \\
    --noise clean
```

    import grainless

    grainless.denoise(pixels)
"""
    found = list(blocks(page))
    assert [(block.language, block.title) for block in found] == [
        ("", None), ("toml", "own.toml"), ("sh", None), ("", None),
    ]  # fmt: skip
    assert [command for block in found for command in commands(block)] == [
        "grainless denoise a.png -o b.png   # a comment",
        "KEY=1 grainless serve",
        "cp a b",
        "grainless evaluate --data x --noise clean",
    ]
    assert [is_python(block) for block in found] == [False, False, False, True]
    assert found[1].text == "grainless = 1"


def test_outputs_that_a_command_names(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.jpg", "notes.txt"):
        (tmp_path / "in" / name).touch()
    named = named_outputs("grainless denoise in/ -o out/ --json > run.json", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in named] == [
        "out", "run.json", "out/a.png", "out/sub/b.jpg",
    ]  # fmt: skip
    assert named_outputs("grainless denoise in/ -o out/ --dry-run", tmp_path) == []
    assert named_outputs("grainless evaluate --data in/ --json s.json -o r/", tmp_path) == [
        tmp_path / "s.json", tmp_path / "r",
    ]  # fmt: skip


@pytest.mark.parametrize("page", all_pages())
def test_commands_have_the_options_that_there_are(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = typer.main.get_command(app)
    for chosen in command.commands.values():  # type: ignore[attr-defined]
        chosen.callback = lambda **_: None
    for line in our_commands(all_pages()[page]):
        words = shlex.split(line, comments=True)
        try:
            command.main(words[1 : words.index(">") if ">" in words else None], standalone_mode=False)
        except Exception as error:  # noqa: BLE001 - whatever a wrong option raises
            pytest.fail(f"{page}: {line}\n{error}")


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_stands_in_a_page(beginning: str) -> None:
    if beginning == "docker" and not (DOCS / "service.md").exists():
        pytest.skip("there is no page of the service")
    text = "\n".join(all_pages()[page] for page in PAGES if page in all_pages())
    assert any(not_run(c) and c.startswith(beginning) for block in blocks(text) for c in commands(block))


def our_commands(text: str) -> list[str]:
    """Return the commands of ours in a page."""
    found = [c for block in blocks(text) for c in commands(block) if program(c) == "grainless"]
    return [c[c.index("grainless") :] for c in found]
