"""What holds for the package as a whole: quick imports, public names, versions, and the house rules."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import grainless

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "grainless").rglob("*.py"))
HEAVY = [
    "PIL", "dask", "distributed", "jinja2", "lightning", "matplotlib", "onnx", "onnxruntime", "openvino",
    "pandas", "pyvips", "scipy", "skimage", "torch", "torchmetrics",
]  # fmt: skip
PUBLIC = [
    "Denoiser", "GrainlessError", "Picture", "__version__", "corrupt", "denoise", "evaluate", "parse_noise",
    "read_picture", "write_picture",
]  # fmt: skip


@pytest.mark.parametrize("module", ["grainless", "grainless.cli", "grainless.batch", "grainless.denoiser"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count the time of children")
def test_help_takes_little_processor_time() -> None:
    code = (
        "import resource, subprocess, sys\n"
        "help = [sys.executable, '-m', 'grainless', '--help']\n"
        "subprocess.run(help, check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.5


def test_public_names_are_the_agreed_ones_and_can_be_reached() -> None:
    assert sorted(grainless.__all__) == PUBLIC
    assert len(PUBLIC) <= 12
    for name in PUBLIC:
        assert getattr(grainless, name) is not None
        assert name in dir(grainless)
    with pytest.raises(AttributeError, match="module 'grainless' has no attribute 'denoize'"):
        grainless.denoize  # noqa: B018


def test_versions_agree() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == grainless.__version__
    said = subprocess.run(
        [sys.executable, "-m", "grainless", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"grainless {grainless.__version__}\n"


def test_base_install_has_no_training_and_no_reference_libraries() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[\[<>=]", entry)[0] for entry in project["dependencies"]}
    assert not names & {
        "torch",
        "lightning",
        "torchmetrics",
        "scikit-image",
        "scipy",
        "matplotlib",
        "openvino",
    }
    assert {"train", "evaluate", "openvino", "demo", "dev"} <= set(project["optional-dependencies"])


def test_lock_pins_exactly_and_names_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", line), line
        assert "://" not in line


def test_every_required_package_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {
        line.split("==")[0] for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    }
    asked = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    names = {re.split(r"[\[<>=]", entry)[0] for entry in asked} - {"grainless"}
    assert names <= locked


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_type_ignores_are_few_and_have_reasons() -> None:
    ignores = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"#\s*type:\s*ignore", line)
    ]
    assert len(ignores) <= 10
    for line in ignores:
        # A code in brackets, then the reason: `# type: ignore[arg-type]  # the stub is wrong about ...`
        assert re.search(r"type:\s*ignore\[[\w, -]+\]\s+#\s*\w+ \w+", line), line


def test_contributing_stays_readable() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_only_errors_of_the_tree_are_raised_on_purpose() -> None:
    builtin = re.compile(
        r"raise (ValueError|RuntimeError|TypeError|Exception|KeyError|NotImplementedError)\b"
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES
        # What networks raise of wrong settings, build_net turns into RecipeError.
        if path.parent.name != "nets"
        for line in path.read_text(encoding="utf-8").splitlines()
        if builtin.search(line)
    ]
    # pydantic wants ValueError inside validators, and turns it into its own report.
    validators = ("recipe.py: raise ValueError", "study.py: raise ValueError")
    assert [line for line in found if not line.startswith(validators)] == []
