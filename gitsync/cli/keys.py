"""`gitsync keys`: the server's signing key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.table import show_facts

if TYPE_CHECKING:
    from gitsync.server.signer import FileSigner

app = typer.Typer(help="Make, show or export the signing key in a data directory.", rich_markup_mode=None)
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="GITSYNC_DATA_DIR",
        metavar="DIR",
        help="The server's data directory; the key is signing.key in it.",
        show_default="/var/lib/gitsync for root, else ~/.local/state/gitsync",
    ),
]


@app.command("init")
def init(data_dir: DataDir = None) -> None:
    """Makes the signing key, as the first start of `gitsync serve` would; an existing one is left alone."""
    from gitsync.server.signer import FileSigner

    path = _path(data_dir)
    signer, created = FileSigner.load_or_create(path)
    typer.echo(f"{'made' if created else 'there is already'} the key {signer.keyid} in {path}")


@app.command("show")
def show(data_dir: DataDir = None) -> None:
    """Shows which key signs; never the private half."""
    path = _path(data_dir)
    key = _load(path).public_key
    show_facts({"Key": key.keyid, "Scheme": key.scheme, "Public": key.public, "File": str(path)})


@app.command("export")
def export(data_dir: DataDir = None) -> None:
    """Prints the root that verifiers trust: a JSON file with the public key, and threshold 1."""
    typer.echo(_load(_path(data_dir)).root().decode())


def _path(data_dir: Path | None) -> Path:
    from gitsync.server.signer import KEY_FILE
    from gitsync.settings import default_data_dir

    return (data_dir or default_data_dir()) / KEY_FILE


def _load(path: Path) -> FileSigner:
    from gitsync.errors import SettingsError
    from gitsync.server.signer import FileSigner

    signer = FileSigner.load(path)
    if signer is None:
        raise SettingsError(
            f"there is no key {path}", code="signing.key_file", hint="`gitsync keys init` makes one; see --data-dir"
        )
    return signer
