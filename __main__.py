"""`python -m grantledger` is the command `grantledger`."""

from grantledger.entrypoints.cli import main

if __name__ == "__main__":
    main()
