"""The command line: `python -m core`."""

from core.cli.commands import main

if __name__ == "__main__":
    main()
