"""The command `check-data`, run as a user would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

import faces_csv
from doctor_pictures import clean_folder, save, scene, spoilt
from grainless.cli.checking import LISTED, check_data
from grainless.doctor import KINDS, MIN_SIDE
from grainless.errors import DataError, InputError

app = typer.Typer()
app.command()(check_data)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = clean_folder(tmp_path / "photos", count=10)
    save(root / "grainy.png", spoilt(scene(20), "gaussian:15"))
    save(root / "low.jpg", scene(21), quality=30)
    return root


def test_a_clean_folder_and_notes_alone_give_0(folder: Path) -> None:
    (folder / "grainy.png").unlink()
    result = run(folder)
    assert result.exit_code == 0, result.stderr
    assert "Strongly compressed (note, 1):" in result.stdout
    assert result.stdout.endswith(f"{folder}: 11 pictures, no faults, 1 note\n")
    assert result.stderr == ""


def test_faults_give_1_and_are_grouped_with_their_remedy(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 1
    noisy, jpeg, summary = result.stdout.rstrip("\n").split("\n\n")
    assert noisy.splitlines() == [
        "Noisy (fault, 1):",
        noisy.splitlines()[1],
        f"  Remedy: {KINDS['noisy'].remedy}.",
    ]
    assert noisy.splitlines()[1].startswith("  grainy.png: noise of about 1")
    assert "  low.jpg: JPEG of quality 30" in jpeg
    assert summary == f"{folder}: 12 pictures, 1 fault, 1 note"


def test_json_is_all_that_stdout_holds(folder: Path) -> None:
    result = run(folder, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert (content["version"], content["path"], content["pictures"]) == (1, str(folder), 12)
    assert [(entry["file"], entry["kind"], entry["severity"]) for entry in content["findings"]] == [
        ("grainy.png", "noisy", "fault"),
        ("low.jpg", "jpeg", "note"),
    ]
    quick = json.loads(run(folder, "--json", "--quick").stdout)
    assert quick["findings"] == []


def test_long_lists_are_cut_unless_all_are_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "many"
    for number in range(LISTED + 3):
        save(root / f"{number:02d}.png", np.full((100, 100, 1), number, np.uint8))
    short, whole = run(root), run(root, "--all")
    assert f"Of one single value (fault, {LISTED + 3}):" in short.stdout
    assert "  and 3 more; --all lists them\n" in short.stdout
    assert "22.png" not in short.stdout
    assert "  22.png: all pixels are 22\n" in whole.stdout
    assert "more;" not in whole.stdout
    assert len(json.loads(run(root, "--json").stdout)["findings"]) == LISTED + 3


def test_a_shortest_side_is_refused_for_faces_and_shown_for_pictures(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 2304)
    file = tmp_path / "faces.csv"
    file.write_text(f"emotion,pixels,Usage\n0,{pixels},Training\n", encoding="utf-8")
    result = run(file, "--min-side", 96)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "All faces are 48x48 pixels; got --min-side 96. Leave it out."
    shown = " ".join(run("--help").stdout.split())
    assert f"[default: ({MIN_SIDE})]" in shown or f"[default: {MIN_SIDE}]" in shown


def test_options_reach_the_check(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "clean", count=3)
    assert run(root).exit_code == 0
    assert "Too small (fault, 3)" in run(root, "--min-side", 200).stdout
    test, more = clean_folder(tmp_path / "test", count=1), clean_folder(tmp_path / "more", count=1, first=2)
    leaks = run(root, "--against", test, "--against", more)
    assert leaks.exit_code == 1
    assert f"00.png: the same picture as {test / '00.png'}" in leaks.stdout
    assert f"02.png: the same picture as {more / '02.png'}" in leaks.stdout
    noisy = tmp_path / "shots"
    for seed in range(3):
        save(noisy / f"{seed:02d}.jpg", spoilt(scene(seed), "gaussian:15"), quality=95)
    assert run(tmp_path, "--pairs", "shots", "clean").exit_code == 0
    swapped = run(tmp_path, "--pairs", root, noisy)
    assert "in 3 of 3 pairs the clean picture is the noisier one" in swapped.stdout


def test_faces_are_checked_by_themselves(tmp_path: Path) -> None:
    file = faces_csv.write_faces(tmp_path / "fer2013.csv")
    result = run(file, "--json", "--quick")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["pictures"] == 7
    with pytest.raises(InputError, match="checked by itself; got --against"):
        raise run(file, "--against", tmp_path).exception or AssertionError
    with pytest.raises(InputError, match="got --pairs"):
        raise run(file, "--pairs", "a", "b").exception or AssertionError


def test_wrong_arguments_are_errors_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The data folder does not exist"):
        raise run(tmp_path / "gone").exception or AssertionError
    with pytest.raises(DataError, match="does not exist"):
        raise run(tmp_path / "gone.csv").exception or AssertionError
    assert run(tmp_path, "--min-side", 0).exit_code == 2
