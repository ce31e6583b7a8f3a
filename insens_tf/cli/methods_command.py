"""`insens-tf methods`: the methods that there are."""

from __future__ import annotations

import click

from insens_tf.cli.options import examples
from insens_tf.method_table import BASELINES, OURS

__all__ = ["methods"]


@click.command(
    short_help="List the methods that compare and sanity know.",
    epilog=examples("methods"),
)
def methods() -> None:
    """List every method that compare and insens_tf.create_analyzer know by its name.

    With what it is and [its source].
    """
    formatter = click.HelpFormatter(max_width=100)
    for heading, table in (("insens_tf", OURS), ("iNNvestigate", BASELINES)):
        rows = []
        for name, method in table.items():
            needs = f" (needs {', '.join(method.needs)}: from Python only)" if method.needs else ""
            source = f" [{method.source}]" if method.source else ""
            rows.append((name, f"{method.description}{needs}{source}"))
        with formatter.section(heading):
            formatter.write_dl(rows, col_max=24)
    click.echo(formatter.getvalue().strip())
