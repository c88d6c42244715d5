"""Run the command line as `python -m grainless`."""

from grainless.cli import main

if __name__ == "__main__":
    main()
