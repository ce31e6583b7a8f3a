"""The command line, `insens-tf`.

Whatever is wrong with what it was given, a path, a shape, a layer, an option, is one line on
stderr and an exit code other than 0. TensorFlow is imported only by the commands that compute, and
only after their paths were checked, so that help and mistakes answer at once.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import signal
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import __version__, files, heatmap
from insens_tf.methods import BASELINES, METHODS, OURS

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["command_line", "main"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Some = TypeVar("_Some", bound=Sized)

# Longer overviews are hard to read and slow to draw; they are continued in further files.
_ROWS_OF_AN_OVERVIEW = 20
# Heatmaps of a small image are magnified until they are about so many screen pixels high or wide.
_SIDE_OF_A_HEATMAP = 224
_BATCH = 256
# lrp.epsilon stands for LRP: the paper says no more than that it is iNNvestigate's.
_METHODS_OF_THE_PAPER = (
    "gradient",
    "integrated_gradients",
    "deep_taylor",
    "lrp.epsilon",
    "insens",
)
# These draw noise, which is to be the same in every run.
_NOISY_METHODS = ("random", "smoothgrad")


class CommandError(click.ClickException):
    """Something that the user can put right, said in one line."""


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
    # Ended from outside, results that are half written are still to be cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        command_line.main(args=arguments, prog_name="insens-tf", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "insens-tf"
        return _fail(command, f"{error.format_message()} (see {command} --help)", error.exit_code)
    except click.ClickException as error:
        return _fail("insens-tf", error.format_message(), error.exit_code)
    except files.UnusableFileError as error:
        return _fail("insens-tf", error, 1)
    except (click.Abort, KeyboardInterrupt):
        return _fail("insens-tf", "interrupted", 130)
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
    # Only what a process of its own may set; a user's own setting counts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    """Turn the library's refusals into errors of one line; anything else is a bug and shows."""
    from insens_tf.errors import UnreadableModelError

    try:
        yield
    except (ValueError, UnreadableModelError) as error:
        raise CommandError(str(error)) from error
    except MemoryError as error:
        raise CommandError(
            f"this machine's memory is not enough ({files.one_line(error, 200)}); take fewer "
            "images with --first"
        ) from error


# --------------------------------------------------------------------------------------------------
# Commands


def _examples(*lines: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  insens-tf {line}" for line in lines)])


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_examples(
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

    MODEL is a Keras model: a .keras file, an .h5 file or a SavedModel folder. IMAGES are PNG or
    JPEG files, folders of them, or one .npy or .npz file.
    """


def _with_options(command: _Command, options: Sequence[Callable[[Any], Any]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def _image_options(command: _Command) -> _Command:
    options = [
        click.option("--key", metavar="NAME", help="The array to take from an .npz file."),
        click.option(
            "--scale",
            type=click.Choice(files.scale_names),
            default="auto",
            show_default=True,
            help="How pixels become inputs. auto: integer pixels are scaled to 0..1, unless the "
            "model scales them itself, and floating values are taken as they are. none: taken as "
            "they are in any case.",
        ),
        click.option("--resize", is_flag=True, help="Resize images to the model's input."),
        click.option(
            "--grayscale",
            is_flag=True,
            help="Convert colour images by luminance for a model of grey images.",
        ),
    ]
    return _with_options(command, options)


def _frequency_options(command: _Command) -> _Command:
    options = [
        click.option(
            "--frequency-from",
            metavar="DATA",
            help="Training images (like IMAGES; of an .npz file x_train) over which to count how "
            "often each neuron is active, m/N, or the frequency.npz of earlier results. Without "
            "it every neuron weighs the same.",
        ),
        click.option(
            "--frequency-key", metavar="NAME", help="The array to take from DATA, an .npz file."
        ),
    ]
    return _with_options(command, options)


_out_option = click.option(
    "--out", metavar="DIR", required=True, help="The new folder to write to."
)
_first_option = click.option(
    "--first",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take only the first N images.",
)
_channels_option = click.option(
    "--channels",
    type=click.Choice(heatmap.channel_rules),
    default="sum",
    show_default=True,
    help="What a heatmap shows of a pixel's colour channels: their sum, or the one of largest "
    "magnitude.",
)
_overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace earlier results of insens-tf in DIR."
)


@command_line.command(
    short_help="List the hidden layers of a model.",
    epilog=_examples(
        "layers model.keras",
        "layers model.keras --data test.npz --key x_test --first 1000",
    ),
)
@click.argument("model")
@click.option(
    "--data",
    metavar="IMAGES",
    help="Images over which to count how many of the neurons are active.",
)
@_image_options
@_first_option
def layers(model: str, data: str | None, **options: Any) -> None:
    """List the hidden layers of MODEL: index, name, shape, number of neurons.

    With --data also the share of neurons that are active for an image, on average.
    """
    import tabulate

    model_path = files.check_model_path(model)
    if data is not None:
        files.check_image_paths([data])
    network = _network(model_path)
    headers = ["index", "name", "shape", "neurons"]
    rows: list[list[Any]] = [
        [layer.index, layer.name, _by(layer.shape), layer.neurons] for layer in network.layers
    ]
    neurons = sum(layer.neurons for layer in network.layers)
    rows.append(["", "all hidden layers", "", neurons])
    rows.append(["output", network.output.name, _by(network.output.shape), network.output.neurons])
    if data is not None:
        inputs = _inputs(network.model, [data], options)
        with _said_in_one_line():
            frequency = _frequency_over(network, inputs, None)
        headers.append("active")
        shares = [f"{frequency[layer.name].mean():.1%}" for layer in network.layers]
        active = sum(int(count.sum()) for count in frequency.counts.values())
        shares += [f"{active / (frequency.samples * neurons):.1%}" if neurons else "", ""]
        rows = [[*row, share] for row, share in zip(rows, shares, strict=True)]
    aligned = ["right", "left", "left", "right", "right"][: len(headers)]
    click.echo(tabulate.tabulate(rows, headers, colalign=aligned, disable_numparse=True))


@command_line.command(
    short_help="Give switched projections v = x w + b of neurons.",
    epilog=_examples(
        "project model.keras seven.png --layer dense --neuron 3 --neuron 7",
        "project model.keras test.npz --first 5 --layer 1 --neuron 6,6,12 --out neurons",
        "project model.keras seven.png --layer logits --neuron all --out logits",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--layer",
    required=True,
    metavar="NAME|INDEX",
    help="A hidden layer, by name or by index (see insens-tf layers), or the output layer by name.",
)
@click.option(
    "--neuron",
    "neurons",
    required=True,
    multiple=True,
    metavar="I|R,C,K",
    help="A neuron: its flat index, or its indices along the layer's axes (row,column,channel); "
    "repeat it for several, or say all.",
)
@click.option("--out", metavar="DIR", help="Write heatmaps and arrays to this new folder.")
@_image_options
@_first_option
@_channels_option
@_overwrite_option
def project(
    model: str,
    images: tuple[str, ...],
    layer: str,
    neurons: tuple[str, ...],
    out: str | None,
    channels: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Give the switched projection v = x w + b of single neurons.

    Prints each neuron's activity v and switched bias b. With --out also writes its switched
    weights w, its centre and its contributions: projection.npz, a heatmap of w and of the
    contributions each (red positive, blue negative, white 0), and an overview.
    """
    import tabulate

    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    chosen = _neurons(neurons)
    record = _record("project", model, images, options, layer=layer, neurons=list(neurons))
    with _results(out, record, overwrite) as folder:
        network = _network(model_path)
        name = _layer_name(network, layer)
        inputs = _inputs(network.model, images, options)
        if folder is not None:
            inputs.as_pictures(inputs[:1])  # refused now, not after the work
        with _said_in_one_line():
            projection = network.project(inputs[:], name, chosen)
        titles = [_neuron_text(neuron) for neuron in projection.neurons]
        rows = [
            [
                inputs.names[i],
                titles[k],
                f"{projection.activity[i, k]:.6g}",
                f"{projection.bias[i, k]:.6g}",
                "active" if projection.activity[i, k] > 0 else "inactive",
            ]
            for i in range(len(inputs))
            for k in range(len(titles))
        ]
        headers = ["image", "neuron", "activity v", "switched bias b", "state"]
        aligned = ["left", "right", "right", "right", "left"]
        click.echo(tabulate.tabulate(rows, headers, colalign=aligned, disable_numparse=True))
        if folder is not None:
            _write_projection(folder, projection, name, titles, inputs, channels)
    if out is not None:
        click.echo(f"Wrote projection.npz, heatmaps and an overview to {out}.")


@command_line.command(
    short_help="Draw Insens of images.",
    epilog=_examples(
        "analyze model.keras digits/ --layer dense --frequency-from train.npz --out maps",
        "analyze model.keras mnist.npz --first 9 --frequency-from mnist.npz --out maps",
        "analyze model.keras a.png b.png --frequency-from maps/frequency.npz --out more",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--layer",
    "chosen_layers",
    multiple=True,
    metavar="NAME|INDEX",
    help="A hidden layer, by name or by index (see insens-tf layers); repeat it for several. "
    "Without it: every hidden layer.",
)
@_frequency_options
@_out_option
@click.option(
    "--state",
    type=click.Choice(["inactive", "active", "all"]),
    default="inactive",
    show_default=True,
    help="Which neurons are summed over.",
)
@click.option(
    "--sensitivity",
    type=click.Choice(["centre", "activity"]),
    default="centre",
    show_default=True,
    help="What is summed: x - c, or the activity times the switched weights.",
)
@_image_options
@_first_option
@_channels_option
@_overwrite_option
def analyze(
    model: str,
    images: tuple[str, ...],
    chosen_layers: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
    out: str,
    state: str,
    sensitivity: str,
    channels: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Draw Insens: what in each image keeps a layer's neurons inactive.

    Writes insens.npz, a heatmap for each image and layer (red: brighter keeps the state, blue:
    darker does, white: 0), and an overview beside the images. --scale, --resize and --grayscale
    hold for DATA too.
    """
    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    _check_frequency_options(frequency_from, frequency_key)
    record = _record(
        "analyze",
        model,
        images,
        options,
        frequency_from=frequency_from,
        frequency_key=frequency_key,
        state=state,
        sensitivity=sensitivity,
    )
    with _results(out, record, overwrite) as folder:
        assert folder is not None
        network = _network(model_path)
        names = _layer_names(network, chosen_layers) or [layer.name for layer in network.layers]
        record["layers"] = names
        inputs = _inputs(network.model, images, options)
        inputs.as_pictures(inputs[:1])  # refused now, not after the work
        with _said_in_one_line():
            columns = _insens(
                folder,
                network,
                names,
                inputs,
                (frequency_from, frequency_key),
                options,
                state=state,
                sensitivity=sensitivity,
            )
        _write_maps(folder, "insens.npz", columns, inputs, channels)
    click.echo(f"Wrote insens.npz, {_heatmaps(inputs, columns)} and an overview to {out}.")


@command_line.command(
    short_help="Draw Insens beside other methods.",
    epilog=_examples(
        "compare model.keras digits/ --frequency-from train.npz --out comparison",
        "compare model.keras seven.png --methods gradient,smoothgrad,insens --layer 0 --out seven",
        "compare model.keras mnist.npz --first 9 --methods lrp.z --methods lrp.flat --out lrp",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--methods",
    "chosen_methods",
    multiple=True,
    metavar="NAME,...",
    help="Which methods, across the picture in this order; repeat the option or separate them by "
    "commas (see insens-tf methods). Without it those of the paper: "
    f"{', '.join(_METHODS_OF_THE_PAPER)}; lrp.epsilon stands for its LRP, of which it does not "
    "name the rule.",
)
@click.option(
    "--layer",
    "chosen_layers",
    multiple=True,
    metavar="NAME|INDEX",
    help="A hidden layer for insens, by name or by index (see insens-tf layers); repeat it for "
    "several. Without it: the last one, as in the paper's comparison.",
)
@_frequency_options
@click.option(
    "--skip-failing",
    is_flag=True,
    help="Leave out, and name, methods that cannot be used on this model, instead of ending.",
)
@_out_option
@_image_options
@_first_option
@_channels_option
@_overwrite_option
def compare(
    model: str,
    images: tuple[str, ...],
    chosen_methods: tuple[str, ...],
    chosen_layers: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
    skip_failing: bool,
    out: str,
    channels: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Draw Insens beside the methods of iNNvestigate: images down, methods across.

    All but insens explain the output of the predicted class, before any softmax, with the settings
    that iNNvestigate gives them; the noise of random and smoothgrad is that of the seed 0. Writes
    maps.npz, a heatmap for each image and method (red positive, blue negative, white 0), and an
    overview with the predicted class and its probability: the model's, or the softmax of its
    outputs where these are logits. --scale, --resize and --grayscale hold for DATA too.
    """
    names = _method_names(chosen_methods, skip_failing)
    if "insens" not in names and (chosen_layers or frequency_from or frequency_key):
        raise click.UsageError("--layer and --frequency-from are for insens, which is not drawn")
    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    _check_frequency_options(frequency_from, frequency_key)
    record = _record(
        "compare",
        model,
        images,
        options,
        frequency_from=frequency_from,
        frequency_key=frequency_key,
    )
    with _results(out, record, overwrite) as folder:
        assert folder is not None
        loaded = files.load_model(model_path)
        if [len(_ends(loaded, end)) for end in ("inputs", "outputs")] != [1, 1]:
            raise CommandError(
                f"model {model_path}: expected a built Sequential or functional model with one "
                "input and one output"
            )
        inputs = _inputs(loaded, images, options)
        inputs.as_pictures(inputs[:1])  # refused now, not after the work
        analyzers = _analyzers(loaded, names, skip_failing)
        record["methods"] = list(analyzers)
        layers: list[str] = []
        if "insens" in analyzers:
            insens = analyzers["insens"]
            layers = _layer_names(insens.network, chosen_layers) or [insens.layer.name]
        record["layers"] = layers
        columns: list[_Column] = []
        x = inputs[:]
        for name, analyzer in analyzers.items():
            with _said_in_one_line(), _warnings_in_one_line():
                if name == "insens":
                    frequency = (frequency_from, frequency_key)
                    columns += [
                        column._replace(file_name=f"insens_{column.file_name}")
                        for column in _insens(
                            folder, analyzer.network, layers, inputs, frequency, options
                        )
                    ]
                else:
                    bar = {"progress": _progress()} if name in BASELINES else {}
                    columns.append(_Column(name, name, name, analyzer.analyze(x, **bar)))
        predictions = _predictions(loaded, inputs)
        _write_maps(folder, "maps.npz", columns, inputs, channels, predictions)
    click.echo(f"Wrote maps.npz, {_heatmaps(inputs, columns)} and an overview to {out}.")


@command_line.command(
    short_help="List the methods that compare draws.",
    epilog=_examples("methods"),
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


@command_line.command(
    short_help="Train 2CONV on real digits and see its Insens.",
    epilog=_examples(
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
    help="Of the initial weights and the order of the digits.",
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
    record = _record("demo", None, (), {}, seed=seed, epochs=epochs)
    with files.results_folder(out, record, replace=True) as folder:
        from insens_tf import demo as demonstration

        with _said_in_one_line():
            record["results"] = demonstration.run(folder, seed=seed, epochs=epochs, say=click.echo)
    at = Path(out)
    click.echo(
        f"\nThe picture is {at / demonstration.PICTURE}. To go on:\n"
        f"  insens-tf layers {at / demonstration.MODEL} --data {at / demonstration.DIGITS}\n"
        f"  insens-tf project {at / demonstration.MODEL} {at / demonstration.DIGITS} --first 5 "
        "--layer dense --neuron 3"
    )


# --------------------------------------------------------------------------------------------------
# What the commands share


def _network(path: Path) -> SwitchedNetwork:
    model = files.load_model(path)
    from insens_tf.network import SwitchedNetwork

    with _said_in_one_line():
        return SwitchedNetwork(model)


def _inputs(
    model: Any,
    paths: Sequence[str],
    options: dict[str, Any],
    usual_keys: Sequence[str] = ("x_test", "x"),
) -> files.ModelInputs:
    """Read images for a model and say on one line what was read and how it was scaled."""
    images = files.read_images(paths, options["key"], usual_keys)
    inputs = files.fit_to_model(
        images,
        tuple(model.inputs[0].shape[1:]),
        model_scales=files.begins_with_scaling(model),
        scale=options["scale"],
        resize=options["resize"],
        grayscale=options["grayscale"],
        first=options["first"],
    )
    click.echo(inputs.description)
    return inputs


def _layer(network: SwitchedNetwork, text: str) -> str | int:
    """Read which layer is meant; a number is an index unless a layer has that name."""
    names = [layer.name for layer in (*network.layers, network.output)]
    return int(text) if text not in names and re.fullmatch(r"-?[0-9]+", text) else text


def _layer_name(network: SwitchedNetwork, text: str) -> str:
    """Find the layer that is meant, the output layer among them."""
    with _said_in_one_line():
        return network.project(_blank(network), _layer(network, text), 0).layer.name


def _layer_names(network: SwitchedNetwork, texts: Sequence[str]) -> list[str]:
    """Find the hidden layers that are meant; none for no text."""
    if not texts:
        return []
    layers = [_layer(network, text) for text in texts]
    with _said_in_one_line():
        return list(network.activation_frequency(_blank(network), layers, progress=False))


def _blank(network: SwitchedNetwork) -> NDArray[np.float32]:
    return np.zeros((1, *network.input_shape), np.float32)


def _neurons(texts: Sequence[str]) -> list[Any] | None:
    if "all" in texts:
        return None
    found: list[Any] = []
    for text in texts:
        if not re.fullmatch(r"[0-9]+(,[0-9]+)*", text.replace(" ", "")):
            raise CommandError(
                f"--neuron {text}: expected a flat index (7), indices along the layer's axes "
                "(6,6,12), or all"
            )
        numbers = tuple(int(number) for number in text.split(","))
        found.append(numbers if len(numbers) > 1 else numbers[0])
    if len({isinstance(neuron, tuple) for neuron in found}) > 1:
        raise CommandError("--neuron: expected flat indices only, or indices along the axes only")
    return found


def _neuron_text(neuron: Sequence[int]) -> str:
    return ",".join(str(int(index)) for index in neuron)


def _check_frequency_options(path: str | None, key: str | None) -> None:
    if path is not None:
        files.check_image_paths([path])
    elif key is not None:
        raise click.UsageError(
            "--frequency-key names an array of --frequency-from, which is missing"
        )


def _frequency_from(
    network: SwitchedNetwork,
    path: str,
    key: str | None,
    names: Sequence[str],
    options: dict[str, Any],
) -> Any:
    from insens_tf.activation_frequency import ActivationFrequency

    if key is None and _holds_a_frequency(Path(path)):
        frequency = ActivationFrequency.load(path)
        click.echo(f"Read the activation frequency over {frequency.samples} samples from {path}.")
        return frequency
    inputs = _inputs(
        network.model, [path], {**options, "key": key, "first": None}, usual_keys=("x_train", "x")
    )
    return _frequency_over(network, inputs, names)


def _holds_a_frequency(path: Path) -> bool:
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return "samples.npy" in names and any(name.startswith("counts/") for name in names)


def _frequency_over(
    network: SwitchedNetwork, inputs: files.ModelInputs, names: Sequence[str] | None
) -> Any:
    # Batch by batch, so that the data never stands in memory as floating numbers.
    return network.activation_frequency(
        inputs.batches(_BATCH),
        None if names is None else list(names),
        steps=-(-len(inputs) // _BATCH),
        progress=_progress(),
    )


def _method_names(texts: Sequence[str], skip_failing: bool) -> list[str]:
    """Read --methods, which each may name several; without it, those of the paper."""
    names = [name.strip() for text in texts for name in text.split(",")] or _METHODS_OF_THE_PAPER
    for name in names:
        if name not in METHODS:
            close = difflib.get_close_matches(name, METHODS, n=1)
            meant = f", did you mean {close[0]}?" if close else ";"
            raise CommandError(
                f"--methods {name or repr(name)}: no such method{meant} insens-tf methods lists "
                "those there are"
            )
    found = []
    for name in dict.fromkeys(names):
        if METHODS[name].needs:
            needs = " and ".join(METHODS[name].needs)
            reason = f"it needs {needs}, which only insens_tf.create_analyzer in Python takes"
            _leave_out(name, reason, skip_failing)
        else:
            found.append(name)
    return _some_left(found)


def _analyzers(model: Any, names: Sequence[str], skip_failing: bool) -> dict[str, Any]:
    from innvestigate import NotAnalyzeableModelException

    from insens_tf.analyzer import create_analyzer

    found = {}
    for name in names:
        try:
            seed = {"seed": 0} if name in _NOISY_METHODS else {}
            found[name] = create_analyzer(name, model, **seed)
        except NotAnalyzeableModelException as error:
            _leave_out(name, error, skip_failing)
    return _some_left(found)


def _leave_out(name: str, reason: object, skip_failing: bool) -> None:
    reason = files.one_line(reason, 800).rstrip(".")
    if not skip_failing:
        raise CommandError(f"method {name}: {reason}; --skip-failing leaves it out")
    print(f"insens-tf: left out {name}: {reason}", file=sys.stderr)


def _some_left(methods: _Some) -> _Some:
    if not methods:
        raise CommandError("no method is left to draw")
    return methods


def _ends(model: Any, which: str) -> Sequence[Any]:
    """Give a model's inputs or outputs, none where they are not known."""
    try:
        return getattr(model, which) or []
    except (AttributeError, ValueError):
        return []


class _Predictions(NamedTuple):
    """What a model gives: all its outputs (n, k), the class of the largest, and in words."""

    outputs: NDArray[Any]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    texts: list[str]


def _predictions(model: Any, inputs: files.ModelInputs) -> _Predictions:
    batches = [np.asarray(model(batch, training=False)) for batch in inputs.batches(_BATCH)]
    outputs = np.concatenate(batches).reshape(len(inputs), -1)
    classes = outputs.argmax(axis=1)
    values = outputs.astype(np.float64)
    shares = (values >= 0).all() and (values <= 1).all()
    if not shares and values.shape[1] > 1:
        # Logits.
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    largest = values[np.arange(len(values)), classes]
    if values.shape[1] > 1 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        texts = [f"class {c}, {p:.1%}" for c, p in zip(classes, largest, strict=True)]
        return _Predictions(outputs, classes, largest, texts)
    # One output, or several that are independent of each other, as after a sigmoid.
    texts = [f"class {c}, output {v:.3g}" for c, v in zip(classes, largest, strict=True)]
    return _Predictions(outputs, classes, None, texts)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Say what the library warns of, which `_keep_tensorflow_quiet` would leave unsaid."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        yield
    for warning in caught:
        print(f"insens-tf: warning: {files.one_line(warning.message, 800)}", file=sys.stderr)


def _progress() -> bool:
    return sys.stderr.isatty()


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


# --------------------------------------------------------------------------------------------------
# Results


def _record(
    command: str,
    model: str | None,
    images: Sequence[str],
    options: dict[str, Any],
    **more: Any,
) -> dict[str, Any]:
    return {
        "program": "insens-tf",
        "version": __version__,
        "command": command,
        "model": model,
        "images": list(images),
        **options,
        **more,
    }


@contextmanager
def _results(out: str | None, record: dict[str, Any], overwrite: bool) -> Iterator[Path | None]:
    if out is None:
        yield None
        return
    with files.results_folder(out, record, replace=overwrite) as folder:
        (folder / "heatmaps").mkdir()
        yield folder


def _write_projection(
    folder: Path,
    projection: Any,
    layer: str,
    titles: Sequence[str],
    inputs: files.ModelInputs,
    channels: str,
) -> None:
    np.savez_compressed(
        folder / "projection.npz",
        layer=layer,
        names=np.array(inputs.names),
        neurons=projection.neurons,
        x=projection.x,
        activity=projection.activity,
        bias=projection.bias,
        weights=projection.weights,
        centre=projection.centre,
        contribution=projection.contribution,
    )
    drawn: dict[tuple[int, int, str], NDArray[np.uint8]] = {}
    for k, title in enumerate(titles):
        for quantity in ("weights", "contribution"):
            maps = inputs.as_pictures(getattr(projection, quantity)[:, k])
            for i, signed in enumerate(maps):
                # A neuron whose switched weights are all 0 has no centre and no contributions.
                if not np.isfinite(signed).all():
                    continue
                drawn[i, k, quantity] = heatmap.heatmap(signed[np.newaxis], channels)[0]
                file = f"{_stem(inputs, i)}_{layer}_{title.replace(',', '-')}_{quantity}.png"
                _write_heatmap(folder / "heatmaps" / _safe(file), drawn[i, k, quantity])
    shown = _shown_inputs(inputs)
    rows = []
    row_titles = []
    cell_titles: list[list[str | None]] = []
    for i in range(len(inputs)):
        row: list[NDArray[np.uint8] | None] = [shown[i]]
        above: list[str | None] = [None]
        for k in range(len(titles)):
            row += [drawn.get((i, k, quantity)) for quantity in ("weights", "contribution")]
            activity, bias = projection.activity[i, k], projection.bias[i, k]
            above += [f"v = {activity:.3g}\nb = {bias:.3g}", None]
        rows.append(row)
        row_titles.append(_short(inputs.names[i]))
        cell_titles.append(above)
    columns = ["input"]
    for title in titles:
        columns += [f"{layer} {title} weights", f"{layer} {title} contribution"]
    _write_overviews(folder, rows, row_titles, columns, cell_titles)


class _Column(NamedTuple):
    """The maps of one method or layer, (n, *input_shape), and what they are called where."""

    key: str
    title: str
    file_name: str
    maps: NDArray[Any]


def _insens(
    folder: Path,
    network: SwitchedNetwork,
    names: Sequence[str],
    inputs: files.ModelInputs,
    frequency_from: tuple[str | None, str | None],
    options: dict[str, Any],
    **choices: str,
) -> list[_Column]:
    """Compute Insens of some layers; the frequencies that it learns are kept in the folder."""
    frequency = None
    path, key = frequency_from
    if path is not None:
        frequency = _frequency_from(network, path, key, names, options)
        frequency.save(folder / "frequency.npz")
    else:
        click.echo("No --frequency-from: every neuron weighs the same.")
    maps = network.insens(inputs[:], list(names), frequency, progress=_progress(), **choices)
    indices = {layer.name: layer.index for layer in network.layers}
    return [
        _Column(f"insens/{name}", f"Insens {name}", f"{indices[name]}_{name}", omega)
        for name, omega in maps.items()
    ]


def _write_maps(
    folder: Path,
    file: str,
    columns: Sequence[_Column],
    inputs: files.ModelInputs,
    channels: str,
    predictions: _Predictions | None = None,
) -> None:
    arrays = {"names": np.array(inputs.names), "x": inputs[:]}
    row_titles = [_short(name) for name in inputs.names]
    if predictions is not None:
        arrays["outputs"] = predictions.outputs
        arrays["predicted_class"] = predictions.classes
        if predictions.probabilities is not None:
            arrays["probability"] = predictions.probabilities
        row_titles = [
            f"{name}\n{text}" for name, text in zip(row_titles, predictions.texts, strict=True)
        ]
    np.savez_compressed(folder / file, **arrays, **{one.key: one.maps for one in columns})
    rows: list[list[NDArray[np.uint8] | None]] = [[shown] for shown in _shown_inputs(inputs)]
    for column in columns:
        for i, signed in enumerate(inputs.as_pictures(column.maps)):
            # Of a neuron whose switched weights are all 0 the centre and contributions are NaN.
            drawn = None
            if np.isfinite(signed).all():
                drawn = heatmap.heatmap(signed[np.newaxis], channels)[0]
                name = _safe(f"{_stem(inputs, i)}_{column.file_name}.png")
                _write_heatmap(folder / "heatmaps" / name, drawn)
            rows[i].append(drawn)
    _write_overviews(folder, rows, row_titles, ["input", *(one.title for one in columns)])


def _heatmaps(inputs: files.ModelInputs, columns: Sequence[_Column]) -> str:
    count = len(inputs) * len(columns)
    return "1 heatmap" if count == 1 else f"{count} heatmaps"


def _shown_inputs(inputs: files.ModelInputs) -> NDArray[np.uint8]:
    pictures = inputs.as_pictures(inputs[:])
    if pictures.shape[-1] not in (1, 3):
        pictures = pictures.mean(axis=-1, keepdims=True)
    return heatmap.picture(pictures)


def _write_overviews(
    folder: Path,
    rows: Sequence[Sequence[Any]],
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    cell_titles: Sequence[Sequence[str | None]] | None = None,
) -> None:
    starts = range(0, len(rows), _ROWS_OF_AN_OVERVIEW)
    for page, start in enumerate(starts, start=1):
        part = slice(start, start + _ROWS_OF_AN_OVERVIEW)
        with _said_in_one_line():
            figure = heatmap.grid(
                rows[part],
                row_titles[part],
                column_titles,
                cell_titles=None if cell_titles is None else cell_titles[part],
            )
        figure.savefig(folder / ("overview.png" if len(starts) == 1 else f"overview_{page}.png"))


def _write_heatmap(path: Path, rgb: NDArray[np.uint8]) -> None:
    from PIL import Image

    factor = max(1, _SIDE_OF_A_HEATMAP // max(rgb.shape[:2]))
    Image.fromarray(rgb.repeat(factor, axis=0).repeat(factor, axis=1)).save(path)


def _stem(inputs: files.ModelInputs, i: int) -> str:
    number = f"{i:0{len(str(len(inputs) - 1))}d}"
    stem = Path(inputs.names[i]).stem
    return number if stem == f"image {i}" else f"{number}_{stem[:60]}"


def _safe(name: str) -> str:
    return re.sub(r"[^\w.,-]+", "_", name)


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"


if __name__ == "__main__":
    sys.exit(main())
