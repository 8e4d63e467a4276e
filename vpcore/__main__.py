"""`python -m vpcore`."""

from vpcore.cli import main

main()
