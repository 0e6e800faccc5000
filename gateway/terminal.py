"""What commands share: their epilogs, and how they end."""

import sys
from typing import NoReturn

import click

PORT = 8080
EXAMPLES = "\n\n\b\nExample:\n  "


def fail(message: str) -> NoReturn:
    """Ends the command with exit code 2: what was asked for cannot be done as it was asked."""
    click.echo(message, err=True)
    sys.exit(2)
