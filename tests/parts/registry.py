"""A real registry (Debian's docker-registry): with a password file, with tokens, or open; on a free port."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from firstlight.build.registry.credentials import Credentials

USER, PASSWORD = "AWS", "a token, as ECR's are"
_HASHED = "$2b$05$pv.IqLPHMrziNFtBUaXrDOnG/HlDxkx0tz1KObBKpWKCIPigm/Gye"


@dataclass
class RunningRegistry:
    """A registry that answers.

    Attributes:
        host: ``127.0.0.1:port``.
        folder: where it keeps what it has.
        log: what it writes.
    """

    host: str
    folder: Path
    log: Path
    program: subprocess.Popen[bytes]

    def known(self) -> Credentials:
        """Who may push."""
        return Credentials(USER, PASSWORD, source="the test")

    def blobs(self) -> set[str]:
        """Digests of all that it has."""
        place = self.folder / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return {f"sha256:{blob.parent.name}" for blob in place.glob("*/*/data")}

    def stop(self) -> None:
        """End it."""
        self.program.terminate()
        self.program.wait(10)


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def start(
    folder: Path, settings: dict[str, object], port: int | None = None, tls: tuple[str, str] | None = None
) -> RunningRegistry:
    """A registry with further settings, such as ``{"auth": ...}``.

    Args:
        tls: files of its certificate and key.
    """
    port = port or free_port()
    store = folder / "store"
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "secret": "the same after a restart"}
    if tls:
        http["tls"] = {"certificate": tls[0], "key": tls[1]}
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(store)}, "delete": {"enabled": True}},
        "http": http,
        **settings,
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(config))  # YAML takes JSON
    log = folder / "log"
    with log.open("ab") as out:
        program = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=out, stderr=out)
    running = RunningRegistry(f"127.0.0.1:{port}", store, log, program)
    _wait(running, port)
    return running


def _wait(running: RunningRegistry, port: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if running.program.poll() is not None or time.monotonic() > until:
                raise AssertionError(running.log.read_text()) from None
            threading.Event().wait(0.02)


def with_password(folder: Path, port: int | None = None) -> RunningRegistry:
    """One that asks for user and password, as ECR does (its user is AWS)."""
    passwords = folder / "htpasswd"
    passwords.write_text(f"{USER}:{_HASHED}\n")
    return start(folder, {"auth": {"htpasswd": {"realm": "here", "path": str(passwords)}}}, port)


class TokenGiver:
    """What gives tokens for a registry: a real one of the kind that ghcr.io or Docker Hub has, for one user.

    Attributes:
        realm: its address.
        certificate: file the registry trusts.
        asked: scopes it was asked for, in order.
        seconds: how long tokens live.
    """

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.asked: list[list[str]] = []
        self.seconds = 300
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / "tokens.pem"
        made = certificate(self._key, "tokens")
        self.certificate.write_bytes(made)
        self._chain = base64.b64encode(_der(made)).decode()
        giver = self

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                giver.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._server.daemon_threads = True
        self.realm = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def settings(self) -> dict[str, object]:
        """What a registry has to know."""
        token = {
            "realm": self.realm,
            "service": "the registry",
            "issuer": "the test",
            "rootcertbundle": str(self.certificate),
        }
        return {"auth": {"token": token}}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Give a token; to nobody one that may push."""
        query = parse_qs(urlsplit(request.path).query)
        scopes = query.get("scope", [])
        self.asked.append(scopes)
        said = request.headers.get("Authorization")
        known = said == f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if said and not known:
            request.send_response(401)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = json.dumps({"token": self._token(scopes, known), "expires_in": self.seconds}).encode()
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _token(self, scopes: list[str], known: bool) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        now = int(time.time())
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [action for action in actions.split(",") if known or action == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        head = {"typ": "JWT", "alg": "ES256", "x5c": [self._chain]}
        body = {
            "iss": "the test",
            "sub": USER,
            "aud": "the registry",
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": str(len(self.asked)),
            "access": access,
        }
        signed = f"{_plain(json.dumps(head).encode())}.{_plain(json.dumps(body).encode())}"
        first, second = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_plain(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def certificate(key: Any, name: str) -> bytes:
    """A certificate that vouches for itself, for a name and for this machine, as PEM."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _der(pem: bytes) -> bytes:
    import ssl

    return ssl.PEM_cert_to_DER_cert(pem.decode())


def _plain(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry that asks for user and password."""
    folder = tmp_path / "registry"
    folder.mkdir()
    running = with_password(folder)
    yield running
    running.stop()


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[tuple[RunningRegistry, TokenGiver]]:
    """A registry that asks for tokens, and what gives them."""
    folder = tmp_path / "registry"
    folder.mkdir()
    giver = TokenGiver(folder)
    running = start(folder, giver.settings())
    yield running, giver
    running.stop()
    giver.close()


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[RunningRegistry, Path]]:
    """A registry that speaks TLS, and the file of the certificate it is known by (``registry.test``)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path / "registry"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, none))
    (folder / "cert.pem").write_bytes(certificate(key, "registry.test"))
    running = start(folder, {}, tls=(str(folder / "cert.pem"), str(folder / "key.pem")))
    yield running, folder / "cert.pem"
    running.stop()
