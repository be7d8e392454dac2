"""A real mailbox server: Debian's Dovecot, in the foreground, on a port of this machine, with a folder of its own."""

from __future__ import annotations

import contextlib
import grp
import imaplib
import itertools
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

PASSWORD = "letmein-please"
PATIENCE = 60.0

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
auth_verbose = yes
auth_failure_delay = 0
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:~/Maildir
maildir_stat_dirs = yes
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
{capability}
mailbox_idle_check_interval = 1 secs
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
"""


@dataclass
class Account:
    """One mailbox of a server: anybody may sign in who knows the password, and has one then."""

    server: ImapServer
    user: str

    @contextlib.contextmanager
    def session(self) -> Iterator[imaplib.IMAP4_SSL]:
        """A client of the tests' own, signed in."""
        context = ssl.create_default_context(cafile=self.server.ca_file)
        with imaplib.IMAP4_SSL("127.0.0.1", self.server.port, ssl_context=context, timeout=10) as client:
            client.login(self.user, PASSWORD)
            yield client

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Deliver mails."""
        with self.session() as client:
            for raw in mails:
                answer = client.append(folder, "", None, raw)
                assert answer[0] == "OK", answer

    def count(self, folder: str, wanted: str = "ALL") -> int:
        """How many mails a folder has; none if it is not there."""
        with self.session() as client:
            if client.select(folder, readonly=True)[0] != "OK":
                return 0
            return len(client.search(None, wanted)[1][0].split())


@dataclass
class ImapServer:
    """A running server. Its ports stay the same when it is stopped and started again; `plain_port` wants STARTTLS."""

    folder: Path
    port: int
    plain_port: int
    capability: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def account(self) -> Account:
        """A mailbox that nobody has used yet."""
        return Account(self, f"bounces-{next(_numbers)}")

    def start(self) -> None:
        is_root = os.geteuid() == 0
        owner = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
        config = CONFIG.format(
            folder=self.folder,
            internal="dovecot" if is_root else owner.pw_name,
            login="dovenull" if is_root else owner.pw_name,
            group="dovecot" if is_root else grp.getgrgid(owner.pw_gid).gr_name,
            port=self.port,
            plain_port=self.plain_port,
            password=PASSWORD,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            capability=f"imap_capability = {self.capability}" if self.capability else "",
        )
        path = self.folder / "dovecot.conf"
        path.write_text(config)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        if is_root:
            os.chown(home, owner.pw_uid, owner.pw_gid)
        self.process = subprocess.Popen([_dovecot(), "-F", "-c", str(path)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), Account(self, "probe").session():
                return
            log = self.folder / "log"
            is_up = self.process.poll() is None and time.monotonic() < deadline
            assert is_up, log.read_text() if log.exists() else "it says nothing"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, and cut all its connections."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)
            self.process = None


_numbers = itertools.count(1)


def _dovecot() -> str:
    return shutil.which("dovecot") or "/usr/sbin/dovecot"


@contextlib.contextmanager
def running(authority: trustme.CA, capability: str = "") -> Iterator[ImapServer]:
    """A server whose certificate is of this authority. `capability` is what it says that it can, if it is to say less
    than it can.
    """
    if not Path(_dovecot()).exists():
        pytest.skip("Dovecot is not installed (Debian: dovecot-imapd)")
    # Not below pytest's own folder: the paths of its sockets must be short, and its other users must get there.
    with tempfile.TemporaryDirectory(prefix="imap") as name:
        folder = Path(name)
        folder.chmod(0o755)
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        server = ImapServer(folder, _free_port(), _free_port(), capability)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
