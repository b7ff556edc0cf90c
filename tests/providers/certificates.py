"""A certificate authority of the test's own, made with the real openssl: a server's and a client's certificate."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM files. `server` and `client` hold certificate and key; `client_key` the client's key alone."""

    ca: Path
    server: Path
    client: Path
    client_key: Path

    def serving(self, *, asks_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if asks_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_authority(folder: Path) -> Authority:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificates for the TLS tests")

    def run(arguments: str, *paths: str) -> None:
        subprocess.run([openssl, *arguments.split(), *paths], cwd=folder, check=True, capture_output=True)

    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj"
    run(f"{new} /CN=test-ca -keyout ca.key -out ca.crt -addext basicConstraints=critical,CA:TRUE")
    for name in ("server", "client"):
        signed = f"{new} /CN={name} -keyout {name}.key -out {name}.crt -CA ca.crt -CAkey ca.key"
        run(f"{signed} -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE")
        both = (folder / f"{name}.crt").read_bytes() + (folder / f"{name}.key").read_bytes()
        (folder / f"{name}.pem").write_bytes(both)
    return Authority(folder / "ca.crt", folder / "server.pem", folder / "client.crt", folder / "client.key")
