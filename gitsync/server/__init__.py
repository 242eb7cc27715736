"""What listens: OpAMP for agents, HTTP for people, tools and probes; and the files that only the server may read.

Belongs here: sockets, protocols on them, the shapes of answers, credentials. Does not belong here: what the answers
mean; that is asked of `control`.
"""

from gitsync.server.api.auth import Auth, load_or_create_admin_token
from gitsync.server.api.shared_secret import WebhookSecrets
from gitsync.server.http import HttpServer
from gitsync.server.listener import ListenerOptions
from gitsync.server.opamp import OpampListener
from gitsync.server.rest import create_app
from gitsync.server.secret_files import SecretFiles
from gitsync.server.signer import FileSigner
from gitsync.server.tls import TlsOptions

__all__ = [
    "Auth",
    "FileSigner",
    "HttpServer",
    "ListenerOptions",
    "OpampListener",
    "SecretFiles",
    "TlsOptions",
    "WebhookSecrets",
    "create_app",
    "load_or_create_admin_token",
]
