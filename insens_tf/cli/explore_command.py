"""`insens-tf explore`: any neuron of any image in the browser, live."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.frequency import holds_a_frequency
from insens_tf.cli.messages import (
    CommandError,
    in_command_line_words,
    said_in_one_line,
    warnings_in_one_line,
)
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    FrequencyOptions,
    ImageOptions,
    NetworkOptions,
    examples,
    images_argument,
    option,
    shared_options,
)
from insens_tf.explorer.hosts import NotLoopbackError, check_host, import_server

if TYPE_CHECKING:
    from insens_tf.explorer.exploration import Exploration, PythonLines

__all__ = ["explore"]


@dataclass(frozen=True)
class _ServerOptions:
    """Where the page is served."""

    host: str = option(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        show_default=True,
        help="The address to listen at. Any but this machine's own needs --allow-remote.",
    )
    port: int = option(
        "--port",
        type=click.IntRange(0, 65535),
        metavar="N",
        default=0,
        help="The port to listen at; without it any that is free.",
    )
    allow_remote: bool = option(
        "--allow-remote",
        is_flag=True,
        help="Let --host be an address that other machines reach: whoever has the page's address "
        "with its token sees the images and has this machine compute; nothing is encrypted.",
    )
    no_browser: bool = option(
        "--no-browser", is_flag=True, help="Print the page's address, and open no browser."
    )


@click.command(
    short_help="Explore any neuron of any image in the browser.",
    epilog=examples(
        "explore model.keras digits/",
        "explore model.keras test.npz --frequency-from train.npz --port 8000 --no-browser",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@shared_options(
    frequency_options=FrequencyOptions,
    image_options=ImageOptions,
    server_options=_ServerOptions,
)
def explore(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    frequency_options: FrequencyOptions,
    image_options: ImageOptions,
    server_options: _ServerOptions,
) -> None:
    """Explore any neuron of any image in the browser, live.

    Choose an image, a layer, a channel and a position, and see v = x w + b of that neuron: w, its
    centre and contribution, where it switches, Insens of its layer, other methods. Draw on the
    image, and all of it follows. The page is of this machine alone: it needs the token in its
    address, and loads nothing from elsewhere. Ctrl-C ends it.
    """
    _check_server(server_options)
    opening = Opening(network_options, images, image_options, frequency_options)
    opening.read_files(drawn=True)
    network = opening.load_network()
    inputs = opening.inputs_of(network.model)
    with said_in_one_line("take fewer images with --first"), warnings_in_one_line():
        frequency = opening.frequency.of(None, network, network.layers)
        exploration = _exploration(
            network,
            inputs,
            frequency,
            image_options,
            _lines(network_options, images, frequency_options, image_options),
        )
    _serve(exploration, server_options)


def _check_server(options: _ServerOptions) -> None:
    """Refuse what cannot be served before anything is loaded."""
    try:
        import_server()
        check_host(options.host, allow_remote=options.allow_remote)
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from error
    except NotLoopbackError as error:
        raise CommandError(f"--{in_command_line_words(error)}") from error


def _serve(exploration: Exploration, options: _ServerOptions) -> None:
    """Serve the page until Ctrl-C."""
    from insens_tf.explorer.running import Explorer

    try:
        explorer = Explorer(exploration, options.host, options.port)
    except OSError as error:
        raise CommandError(
            f"--host {options.host} --port {options.port}: {error.strerror or error}; choose "
            "another --port, or leave it out"
        ) from error
    with explorer:
        click.echo(f"The explorer is at {explorer.url}\nCtrl-C ends it.")
        if options.allow_remote:
            click.echo(
                "Other machines may reach it: whoever has this address sees the images and has "
                "this machine compute; nothing is encrypted.",
                err=True,
            )
        if not options.no_browser:
            webbrowser.open(explorer.url)
        # Ctrl-C is how it is meant to end.
        with suppress(KeyboardInterrupt):
            explorer.wait()


def _exploration(
    network: Any,
    inputs: files.ModelInputs,
    frequency: Any,
    options: ImageOptions,
    lines: PythonLines,
) -> Exploration:
    from insens_tf.explorer.exploration import Exploration

    def read_dropped(path: Path) -> NDArray[Any]:
        fitted = files.fit_to_model(
            files.read_images([path]),
            network.input_shape,
            model_scales=files.begins_with_scaling(network.model),
            scale=options.scale,
            resize=True,
            grayscale=True,
        )
        return np.asarray(fitted[:1])

    return Exploration(
        network,
        inputs,
        inputs.names,
        frequency,
        picture_shape=inputs.picture_shape,
        read_dropped=read_dropped,
        lines=lines,
    )


def _lines(
    network_options: NetworkOptions,
    images: Sequence[str],
    frequency_options: FrequencyOptions,
    image_options: ImageOptions,
) -> PythonLines:
    """Return the Python that opens what this command opens."""
    from insens_tf.explorer.exploration import PythonLines

    arguments = "".join(
        f", {name}={value!r}" for name, value in network_options.network_arguments().items()
    )

    def read(paths: Sequence[str], key: str | None, usual: str, first: int | None) -> str:
        settings = {
            "scale": image_options.scale,
            "resize": image_options.resize,
            "grayscale": image_options.grayscale,
            "first": first,
        }
        given = "".join(f", {name}={value!r}" for name, value in settings.items())
        return (
            f"files.fit_to_model(files.read_images({list(paths)!r}, {key!r}, {usual}), "
            f"network.input_shape, model_scales=files.begins_with_scaling(model){given})"
        )

    frequency: tuple[str, ...] = ()
    path, key = frequency_options.frequency_from, frequency_options.frequency_key
    if path is not None and key is None and holds_a_frequency(Path(path)):
        frequency = (f"frequency = insens_tf.ActivationFrequency.load({path!r})",)
    elif path is not None:
        data = read([path], key, "('x_train', 'x')", None)
        frequency = (f"frequency = network.activation_frequency({data}[:])",)
    usual = "('x_test', 'x')"
    return PythonLines(
        network=(
            "from insens_tf import files",
            "",
            f"model = files.load_model({network_options.model!r})",
            f"network = insens_tf.SwitchedNetwork(model{arguments})",
        ),
        images=(f"images = {read(images, image_options.key, usual, image_options.first)}",),
        frequency=frequency,
    )
