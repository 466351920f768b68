"""A scripted adb server: the real `adb` client talks to it as to its own, and meets one phone or several.

Speaks the client's side of adb's protocol (SERVICES.TXT and shell_service.h of platform/packages/modules/adb):
requests of four hex digits of length and a name, OKAY or FAIL, then the service's stream.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

_VERSION = 41  # of the protocol between adb's client and server: of every release since 2018
_FEATURES = "shell_v2,cmd,stat_v2"
_STDOUT, _STDERR, _EXIT = 1, 2, 3  # packets of a shell


@dataclass(frozen=True)
class Rule:
    """What a command on the phone answers: the first rule whose pattern is found in the command counts."""

    pattern: str
    out: str = ""
    err: str = ""
    exit: int = 0


@dataclass
class AdbServer:
    """Its phones and their answers; fields may be changed while it runs.

    Attributes:
        port: of 127.0.0.1, for ANDROID_ADB_SERVER_PORT.
        devices: state by adb's name of the phone.
        rules: of every phone; TOKEN in an answer stands for the last token a command named.
        lost: what the server says instead of reaching a phone, as adb's transport.cpp has it.
        installation: what the phone's package manager answers.
        commands: asked for, in order.
        installed: bytes of each APK that came whole.
    """

    port: int
    devices: dict[str, str]
    rules: Sequence[Rule] = ()
    lost: str | None = None
    installation: str = "Success\n"
    commands: list[str] = field(default_factory=list)
    installed: list[bytes] = field(default_factory=list)
    token: str = "none"

    def serve(self, client: socket.socket) -> None:
        """One connection of the client, to its end."""
        with client:
            while True:
                try:
                    request = _read(client, int(_read(client, 4), 16)).decode()
                except (ValueError, ConnectionError):
                    return
                if not self._reaches_a_phone(client, request):
                    return

    def _reaches_a_phone(self, client: socket.socket, request: str) -> bool:
        """Answer one request; True when the connection now is one to a phone."""
        if request == "host:version":
            client.sendall(b"OKAY" + _sized(f"{_VERSION:04x}"))
        elif request == "host:devices":
            lines = "".join(f"{serial}\t{state}\n" for serial, state in self.devices.items())
            client.sendall(b"OKAY" + _sized(lines))
        elif request.endswith(":features"):
            client.sendall(b"OKAY" + _sized(_FEATURES))
        elif request.startswith(("host:transport:", "host:tport:serial:")):
            return self._connect(client, request)
        elif request.startswith("shell"):
            self._shell(client, request.partition(":")[2])
        elif request.startswith("exec:cmd package"):
            self._install(client, request)
        elif request.startswith("exec:"):
            client.sendall(b"OKAY" + self._answer(request.partition(":")[2]).out.encode())
        else:
            client.sendall(b"FAIL" + _sized("unknown host service"))
        return False

    def _connect(self, client: socket.socket, request: str) -> bool:
        serial = request.rsplit(":", 1)[1]
        known = self.devices.get(serial)
        problem = self.lost or (None if known == "device" else f"device {known}")
        if known is None:
            problem = f"device '{serial}' not found"
        if problem is not None:
            client.sendall(b"FAIL" + _sized(problem))
            return False
        transport = bytes(8) if request.startswith("host:tport") else b""
        client.sendall(b"OKAY" + transport)
        return True

    def _answer(self, command: str) -> Rule:
        self.commands.append(command)
        told = re.search(r"--es token (\w+)", command)
        self.token = told[1] if told else self.token
        rule = next((rule for rule in self.rules if re.search(rule.pattern, command)), Rule(""))
        return Rule(rule.pattern, rule.out.replace("TOKEN", self.token), rule.err, rule.exit)

    def _shell(self, client: socket.socket, command: str) -> None:
        answer = self._answer(command)
        parts = [
            (_STDOUT, answer.out.encode()),
            (_STDERR, answer.err.encode()),
            (_EXIT, bytes([answer.exit])),
        ]
        packets = [bytes([kind]) + len(data).to_bytes(4, "little") + data for kind, data in parts]
        client.sendall(b"OKAY" + b"".join(packets))

    def _install(self, client: socket.socket, request: str) -> None:
        self.commands.append(request)
        client.sendall(b"OKAY")
        size = re.search(r"-S (\d+)", request)
        self.installed.append(_read(client, int(size[1]) if size else 0))
        client.sendall(self.installation.encode())


@contextmanager
def adb_server(devices: dict[str, str], rules: Sequence[Rule] = ()) -> Iterator[AdbServer]:
    """A server on a free port of this machine, while the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = AdbServer(listening.getsockname()[1], devices, rules)
        threading.Thread(target=_accept, args=(listening, server), daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, server: AdbServer) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:  # the context has ended
            return
        threading.Thread(target=server.serve, args=(client,), daemon=True).start()


def _sized(text: str) -> bytes:
    return f"{len(text.encode()):04x}{text}".encode()


def _read(client: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = client.recv(min(1 << 20, size - len(data)))
        if not part:
            raise ConnectionError("the client has gone")
        data += part
    return bytes(data)
