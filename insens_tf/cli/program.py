"""The program `insens-tf`: the group of its commands, and how it ends."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence

import click

from insens_tf import __version__, files
from insens_tf.cli.analyze_command import analyze
from insens_tf.cli.compare_command import compare
from insens_tf.cli.demo_command import demo
from insens_tf.cli.explore_command import explore
from insens_tf.cli.layers_command import layers
from insens_tf.cli.margins_command import margins
from insens_tf.cli.methods_command import methods
from insens_tf.cli.monitor_command import monitor
from insens_tf.cli.options import examples
from insens_tf.cli.path_command import path
from insens_tf.cli.project_command import project
from insens_tf.cli.sanity_command import sanity
from insens_tf.cli.survey_command import survey

__all__ = ["command_line", "main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "demo",
        "layers model.keras",
        "project model.keras seven.png --layer dense --neuron 3",
        "analyze model.keras digits/ --layer dense --frequency-from train.npz --out maps",
        "compare model.keras digits/ --frequency-from train.npz --out comparison",
    ),
)
@click.version_option(__version__, message="insens-tf %(version)s")
def command_line() -> None:
    """See what a ReLU network computes: switched linear projections and Insens.

    MODEL is a Keras model: a .keras file, an .h5 file or a SavedModel folder. IMAGES are PNG, JPEG,
    BMP, TIFF or WebP files, folders of them, or one .npy or .npz file.
    """


for command in (
    layers,
    project,
    analyze,
    compare,
    explore,
    margins,
    path,
    survey,
    monitor,
    sanity,
    methods,
    demo,
):
    command_line.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        The exit code: 0, 1 for what went wrong, 2 for arguments that cannot be understood, 130
        when interrupted.
    """
    _keep_tensorflow_quiet()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Letters that a terminal or a pipe does not have, as in names of files, are escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A process that is ended from outside still clears away results that are half written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        command_line.main(args=arguments, prog_name="insens-tf", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "insens-tf"
        return _fail(command, f"{error.format_message()} (see {command} --help)", error.exit_code)
    except click.ClickException as error:
        return _fail("insens-tf", error.format_message(), error.exit_code)
    except files.UnusableFileError as error:
        return _fail("insens-tf", error, 1)
    except (click.Abort, KeyboardInterrupt) as error:
        # Click makes an Abort of Python's own, which may say what is kept.
        return _fail("insens-tf", str(error.__cause__ or error) or "interrupted", 130)
    except BrokenPipeError:
        # The reader of the output, `head` say, has had enough. What is still buffered must go
        # somewhere, or Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _fail(command: str, message: object, code: int) -> int:
    print(f"{command}: error: {files.one_line(message, 1000)}", file=sys.stderr)
    return code


def _keep_tensorflow_quiet() -> None:
    # These settings are for a process of its own; a user's own setting counts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
