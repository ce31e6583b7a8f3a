"""The explorer, started and ended: a server in a thread, and its address."""

from __future__ import annotations

import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.arguments import whole_number
from insens_tf.explorer.exploration import Exploration, PythonLines
from insens_tf.explorer.hosts import (
    allowed_hosts,
    check_host,
    import_server,
    name_in_addresses,
)

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["Explorer", "explore"]

_SECONDS_TO_START = 20.0


class Explorer:
    """A running explorer. It ends with `close`, at the end of a `with` block, or with the process.

    Parameters
    ----------
    exploration : Exploration
    host : str
        The address to listen at.
    port : int
        0: any that is free.
    token : str, optional
        Without it nobody gets in; None: a new one.

    Attributes
    ----------
    url : str
        The address of the page, token included.
    exploration : Exploration

    Raises
    ------
    OSError
        If the address cannot be had, or the port is taken.
    """

    def __init__(
        self, exploration: Exploration, host: str, port: int, token: str | None = None
    ) -> None:
        import uvicorn

        from insens_tf.explorer.server import application

        self.exploration = exploration
        token = token or secrets.token_urlsafe(24)
        is_ipv6 = ":" in host
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if is_ipv6 else socket.AF_INET
        )
        port = listening.getsockname()[1]
        self.url = f"http://{name_in_addresses(host)}:{port}/?token={token}"
        app = application(exploration, token, allowed_hosts(host))
        config = uvicorn.Config(
            app,
            # The process' own logging stays as it is.
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="insens-tf explore", daemon=True
        )
        self._thread.start()
        self._wait_until_started()
        threading.Thread(target=self._warm_up, name="explorer warm-up", daemon=True).start()

    def close(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join(_SECONDS_TO_START)

    def wait(self) -> None:
        """Wait until the server is ended, by `close` in another thread or Ctrl-C."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        finally:
            self.close()

    def __enter__(self) -> Explorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Explorer({self.url})"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank" rel="noopener">Explorer</a>'

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the explorer's server did not start")
            time.sleep(0.01)

    def _warm_up(self) -> None:
        """Trace what the first clicks need, while the page is being looked at."""
        exploration = self.exploration
        # What goes wrong here is said where it is asked for.
        with suppress(Exception):
            x = exploration.image("0")
            exploration.activities(x)
            # Those that are looked at first come first.
            for layer in reversed(exploration.layers):
                if self._server.should_exit:
                    return
                exploration.network.project(x, layer, [0])


def explore(
    model: Any,
    images: Any,
    frequency: Any = None,
    *,
    names: Sequence[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    open_browser: bool = True,
) -> Explorer:
    """Explore a network in the browser: any neuron of any image, live.

    Parameters
    ----------
    model : Keras model or SwitchedNetwork
    images : array, shape (n, *input_shape)
        The inputs, as the model takes them.
    frequency : mapping of str to array, optional
        As `SwitchedNetwork.activation_frequency` returns it: what weighs Insens.
    names : sequence of str, optional
        One an image; None: their numbers.
    host : str
        The address to listen at: this machine's own, unless `allow_remote`.
    port : int
        0: any that is free.
    allow_remote : bool
        Whether `host` may be an address that other machines reach. Whoever then has the address
        with its token sees the images, and has this machine compute; nothing is encrypted.
    open_browser : bool
        Whether to open the page in this machine's browser.

    Returns
    -------
    Explorer
        It runs in a thread of its own; `wait` waits for Ctrl-C, `close` ends it.

    Raises
    ------
    ValueError
        If the images are not as the model takes them, or an argument is wrong.
    UnreadableModelError
        If the model cannot be read.
    ModuleNotFoundError
        If the extra `explore` is not installed: pip install 'insens_tf[explore]'.
    """
    from insens_tf.network import SwitchedNetwork

    import_server()
    check_host(host, allow_remote=allow_remote)
    port = whole_number("port", port, least=0)
    network = model if isinstance(model, SwitchedNetwork) else SwitchedNetwork(model)
    x = network.input_spec.check(images, "images")
    titles = [f"image {number}" for number in range(len(x))] if names is None else list(names)
    if len(titles) != len(x):
        raise ValueError(f"names: expected one an image, {len(x)}, came {len(titles)}")
    exploration = Exploration(
        network, x, titles, frequency, read_dropped=_reader(network), lines=PythonLines()
    )
    explorer = Explorer(exploration, host, port)
    if open_browser:
        webbrowser.open(explorer.url)
    return explorer


def _reader(network: SwitchedNetwork) -> Any:
    """Return what reads a dropped picture as an input of a network."""

    def read(path: Path) -> NDArray[Any]:
        fitted = files.fit_to_model(
            files.read_images([path]),
            network.input_shape,
            model_scales=files.begins_with_scaling(network.model),
            resize=True,
            grayscale=True,
        )
        return np.asarray(fitted[:1])

    return read if len(network.input_shape) in (2, 3) else None
