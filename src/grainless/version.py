"""The version of the package, by the rules in README.md."""

__version__ = "0.1.0"
