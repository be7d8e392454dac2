"""Mail servers to send to, with certificates of an authority of their own (trustme)."""

from __future__ import annotations

import ssl

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from plugins.mailsink import Sink


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(params=[False, True], ids=["step by step", "pipelining"])
def sink(request):
    with Sink(pipelining=request.param) as running:
        yield running


def _check_login(server, session, envelope, mechanism, data):
    is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"triggerfish", b"letmein-please")
    return AuthResult(success=is_known, handled=is_known)


@pytest.fixture
def secure_sink(server_tls):
    """Wants STARTTLS, then a password."""
    with Sink(tls_context=server_tls, require_starttls=True, auth_required=True, authenticator=_check_login) as running:
        yield running


@pytest.fixture
def tls_sink(server_tls):
    """TLS from the first byte."""
    with Sink(tls_from_start=server_tls) as running:
        yield running
