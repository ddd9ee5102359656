"""`python -m daemon` is the command `retrigger`."""

from daemon.cli import main

if __name__ == "__main__":
    main()
