"""What is said of packages that are missing or broken."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from grainless.baselines.packages import NO_PACKAGES, MissingPackageError, Packages
from grainless.errors import MissingExtraError


def put(monkeypatch, name):
    """Let a module of this name be installed."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_an_installed_module_is_loaded(monkeypatch):
    first, _ = put(monkeypatch, "first_of_two"), put(monkeypatch, "second_of_two")
    packages = Packages("the filter", ("first_of_two", "second_of_two"))
    assert packages.missing() is None
    assert packages.load() is first


def test_any_missing_module_names_the_extra(monkeypatch):
    put(monkeypatch, "first_of_two")
    packages = Packages("the filter", ("first_of_two", "second_of_two"))
    with pytest.raises(MissingExtraError, match=r'the filter needs .* pip install .*"\.\[evaluate\]"'):
        packages.load()
    assert "the filter needs" in str(packages.missing())


def test_a_package_of_no_extra_is_named_for_pip():
    packages = Packages("The filter", ("no_such_module",), package="of-pip", note=" (read its licence)")
    expected = r'The filter needs a package.*\. Install it with: pip install "of-pip" \(read its licence\)\.$'
    with pytest.raises(MissingPackageError, match=expected) as caught:
        packages.load()
    assert str(packages.missing()) == str(caught.value)
    assert isinstance(caught.value, MissingExtraError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.http_status == 501


def test_a_module_that_cannot_be_imported_is_missing_too(monkeypatch, tmp_path):
    (tmp_path / "broken_module.py").write_text("raise ImportError('libGL is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    packages = Packages("The filter", ("broken_module",), package="broken")
    assert packages.missing() is None
    with pytest.raises(MissingPackageError, match="The filter needs") as caught:
        packages.load()
    assert "libGL" in str(caught.value.__cause__)


def test_looking_imports_nothing(monkeypatch, tmp_path):
    (tmp_path / "heavy_module.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert Packages("The filter", ("heavy_module.part",)).missing() is None
    assert "heavy_module" not in sys.modules


def test_a_filter_of_no_packages_misses_none():
    assert NO_PACKAGES.missing() is None
