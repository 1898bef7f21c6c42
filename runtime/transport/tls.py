"""The TLS context of an endpoint, made from PEM texts without the key ever touching a disk."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from runtime.endpoint import TlsCredentials
from runtime.errors import Unreachable


def client_context(tls: TlsCredentials) -> ssl.SSLContext:
    """Return a context that proves who we are and accepts only servers of the credentials' own authority.

    Raises ``Unreachable`` with reason ``tls`` when a PEM text cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # OpenSSL reads certificate chains from files only: an anonymous file in memory is one.
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        path = Path(f"/proc/self/fd/{descriptor}")
        path.write_text(f"{tls.certificate_pem}\n{tls.key_pem}\n")
        context.load_verify_locations(cadata=tls.ca_pem)
        # An encrypted key must fail here, not ask for its password on our terminal.
        context.load_cert_chain(path, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise Unreachable(f"the TLS certificates of this endpoint cannot be used: {error}", reason="tls") from error
    finally:
        os.close(descriptor)
    return context
