"""At which addresses the explorer may listen, and by which names it may be asked."""

from __future__ import annotations

import ipaddress

__all__ = ["NotLoopbackError", "allowed_hosts", "check_host", "import_server", "name_in_addresses"]

_EVERY_ADDRESS = ("0.0.0.0", "::")


class NotLoopbackError(ValueError):
    """The explorer was told to listen to other machines without being allowed to."""


def import_server() -> None:
    """Raise ModuleNotFoundError where what the server is made of is missing; say how to get it."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the explorer needs {error.name}, of the extra explore: "
            "pip install 'insens_tf[explore]'",
            name=error.name,
        ) from error


def check_host(host: str, *, allow_remote: bool) -> None:
    """Refuse an address that other machines reach, unless that is allowed.

    Raises
    ------
    NotLoopbackError
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback and not allow_remote:
        raise NotLoopbackError(
            f"host {host} is reached by other machines: whoever has the page's address with its "
            "token sees the images and has this machine compute, and nothing is encrypted; pass "
            "allow_remote=True if that is meant, or reach 127.0.0.1 through ssh -L"
        )


def allowed_hosts(host: str) -> list[str]:
    """Return the names under which a server that listens at `host` may be asked."""
    # Which names this machine has for others is not known here; the token is what keeps them out.
    if host in _EVERY_ADDRESS:
        return ["*"]
    return list(dict.fromkeys([name_in_addresses(host), "127.0.0.1", "localhost"]))


def name_in_addresses(host: str) -> str:
    """Return what stands for `host` in a URL that this machine's browser opens."""
    shown = "127.0.0.1" if host in _EVERY_ADDRESS else host
    return f"[{shown}]" if ":" in shown else shown
