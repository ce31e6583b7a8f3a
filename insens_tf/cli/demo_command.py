"""`insens-tf demo`: the demonstration."""

from __future__ import annotations

from pathlib import Path

import click

from insens_tf import files
from insens_tf.cli.messages import import_tensorflow, said_in_one_line
from insens_tf.cli.options import examples
from insens_tf.cli.run_record import record_of

__all__ = ["demo"]


@click.command(
    short_help="Train 2CONV on real digits and see its Insens.",
    epilog=examples(
        "demo",
        "demo --out my_demo --seed 1",
    ),
)
@click.option(
    "--out",
    metavar="DIR",
    default="insens_tf_demo",
    show_default=True,
    help="The folder to write to; an earlier demo in it is replaced.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="The seed of the initial weights and of the order of the digits.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    show_default=True,
    help="How many times each digit is seen in training.",
)
def demo(out: str, seed: int, epochs: int) -> None:
    """Train 2CONV on 2,000 MNIST digits and see its Insens beside other methods.

    Needs nothing but this package: the digits come with it. Takes about a minute, prints how
    exact the switched projections are, and writes one picture, the trained model and the digits.
    """
    record = record_of("demo", model=None, images=[], seed=seed, epochs=epochs)
    with files.results_folder(out, record, replace=True) as folder:
        import_tensorflow()
        from insens_tf import demo as demonstration

        with said_in_one_line():
            record["results"] = demonstration.run(folder, seed=seed, epochs=epochs, say=click.echo)
    at = Path(out)
    click.echo(
        f"\nThe picture is {at / demonstration.PICTURE}. To go on:\n"
        f"  insens-tf layers {at / demonstration.MODEL} --data {at / demonstration.DIGITS}\n"
        f"  insens-tf project {at / demonstration.MODEL} {at / demonstration.DIGITS} --first 5 "
        "--layer dense --neuron 3"
    )
