"""Lets `python -m edge3d` run the command line."""

from edge3d.cli import main

if __name__ == "__main__":
    main()
