"""The command line, `insens-tf`.

Whatever is wrong with what it was given, a path, a shape, a layer, an option, is one line on
stderr and an exit code other than 0. TensorFlow is imported only by the commands that compute, and
only after their paths were checked, so that help and mistakes answer at once.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import __version__, files, heatmap

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["command_line", "main"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Longer overviews are hard to read and slow to draw; they are continued in further files.
_ROWS_OF_AN_OVERVIEW = 20
# Heatmaps of a small image are magnified until they are about so many screen pixels high or wide.
_SIDE_OF_A_HEATMAP = 224
_FREQUENCY_BATCH = 256


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
    ),
)
@click.version_option(__version__, message="insens-tf %(version)s")
def command_line() -> None:
    """See what a ReLU network computes: switched linear projections and Insens.

    MODEL is a Keras model: a .keras file, an .h5 file or a SavedModel folder. IMAGES are PNG or
    JPEG files, folders of them, or one .npy or .npz file.
    """


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
    for option in reversed(options):
        command = option(command)
    return command


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
        inputs = _inputs(network, [data], options)
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
        name = _layer_name(network, layer, output=True)
        inputs = _inputs(network, images, options)
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
@click.option(
    "--frequency-from",
    metavar="DATA",
    help="Training images (like IMAGES; of an .npz file x_train) over which to count how often "
    "each neuron is active, m/N, or the frequency.npz of earlier results. Without it every neuron "
    "weighs the same.",
)
@click.option("--frequency-key", metavar="NAME", help="The array to take from DATA, an .npz file.")
@click.option("--out", metavar="DIR", required=True, help="The new folder to write to.")
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
    if frequency_from is not None:
        files.check_image_paths([frequency_from])
    elif frequency_key is not None:
        raise click.UsageError(
            "--frequency-key names an array of --frequency-from, which is missing"
        )
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
        names = [_layer_name(network, layer) for layer in chosen_layers] or [
            layer.name for layer in network.layers
        ]
        record["layers"] = names
        inputs = _inputs(network, images, options)
        inputs.as_pictures(inputs[:1])  # refused now, not after the work
        with _said_in_one_line():
            frequency = None
            if frequency_from is not None:
                frequency = _frequency_from(network, frequency_from, frequency_key, names, options)
                frequency.save(folder / "frequency.npz")
            else:
                click.echo("No --frequency-from: every neuron weighs the same.")
            maps = network.insens(
                inputs[:],
                names,
                frequency,
                state=state,
                sensitivity=sensitivity,
                progress=_progress(),
            )
        assert isinstance(maps, dict)  # as always for a list of layers
        _write_insens(folder, network, maps, inputs, channels)
    count = len(inputs) * len(names)
    drawn = "1 heatmap" if count == 1 else f"{count} heatmaps"
    click.echo(f"Wrote insens.npz, {drawn} and an overview to {out}.")


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
    """Train 2CONV on 2,000 MNIST digits and see its gradient and Insens.

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
    network: SwitchedNetwork,
    paths: Sequence[str],
    options: dict[str, Any],
    usual_keys: Sequence[str] = ("x_test", "x"),
) -> files.ModelInputs:
    """Read images for a network and say on one line what was read and how it was scaled."""
    images = files.read_images(paths, options["key"], usual_keys)
    inputs = files.fit_to_model(
        images,
        network.input_shape,
        model_scales=files.begins_with_scaling(network.model),
        scale=options["scale"],
        resize=options["resize"],
        grayscale=options["grayscale"],
        first=options["first"],
    )
    click.echo(inputs.description)
    return inputs


def _layer_name(network: SwitchedNetwork, text: str, *, output: bool = False) -> str:
    """Find the layer that is meant; a number is an index unless a layer has that name."""
    names = [layer.name for layer in (*network.layers, network.output)]
    layer: str | int = text
    if text not in names and re.fullmatch(r"-?[0-9]+", text):
        layer = int(text)
    blank = np.zeros((1, *network.input_shape), np.float32)
    with _said_in_one_line():
        if output:
            return network.project(blank, layer, 0).layer.name
        return next(iter(network.activation_frequency(blank, [layer], progress=False)))


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
        network, [path], {**options, "key": key, "first": None}, usual_keys=("x_train", "x")
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
        inputs.batches(_FREQUENCY_BATCH),
        None if names is None else list(names),
        steps=-(-len(inputs) // _FREQUENCY_BATCH),
        progress=_progress(),
    )


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


def _write_insens(
    folder: Path,
    network: SwitchedNetwork,
    maps: dict[str, NDArray[Any]],
    inputs: files.ModelInputs,
    channels: str,
) -> None:
    np.savez_compressed(
        folder / "insens.npz",
        names=np.array(inputs.names),
        x=inputs[:],
        **{f"insens/{name}": omega for name, omega in maps.items()},
    )
    indices = {layer.name: layer.index for layer in network.layers}
    pictures = {
        name: heatmap.heatmap(inputs.as_pictures(omega), channels) for name, omega in maps.items()
    }
    for name, drawn in pictures.items():
        for i in range(len(inputs)):
            file = f"{_stem(inputs, i)}_{indices[name]}_{name}.png"
            _write_heatmap(folder / "heatmaps" / _safe(file), drawn[i])
    rows = [list(row) for row in zip(_shown_inputs(inputs), *pictures.values(), strict=True)]
    columns = ["input", *(f"Insens {name}" for name in pictures)]
    _write_overviews(folder, rows, [_short(name) for name in inputs.names], columns)


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
