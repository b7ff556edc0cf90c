"""`$/setTrace`: our log has its own level."""

from server.host import Host

PARAMS = None


def handle(host: Host, params: object) -> None:
    del host, params
