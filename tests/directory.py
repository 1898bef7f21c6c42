"""A directory of our own: a real slapd on loopback, with people and groups in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines import certificates, die_with_parent, free_port, program, short_directory, wait_until

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
SERVICE_DN = f"cn=pilothouse,{BASE}"
SERVICE_PASSWORD = "a secret of the service's"
PASSWORD = "a long way to Tipperary"
_ROOT_DN = f"cn=root,{BASE}"
_ROOT_PASSWORD = "root of the directory"

_CONFIGURATION = f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {{directory}}/pid
TLSCACertificateFile {{directory}}/ca.pem
TLSCertificateFile {{directory}}/server.pem
TLSCertificateKeyFile {{directory}}/server.key
database mdb
suffix "{BASE}"
rootdn "{_ROOT_DN}"
rootpw "{_ROOT_PASSWORD}"
directory {{directory}}/data
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{SERVICE_DN}" read by * none
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A running directory. Anonymous visitors see nothing in it; the service account sees all but passwords."""

    port: int
    tls_port: int
    ca_file: Path
    process: subprocess.Popen[bytes]
    #: Of whoever may change everything.
    root: Any

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def add(self, dn: str, *classes: str, **attributes: str) -> None:
        """Add an entry."""
        values = [("objectClass", [name.encode() for name in classes])]
        self.root.add_s(dn, values + [(name, [value.encode()]) for name, value in attributes.items()])

    def person(self, uid: str, *, password: str = PASSWORD, **attributes: str) -> str:
        """Add somebody; return their distinguished name."""
        dn = f"uid={uid},{PEOPLE}"
        told = {"cn": uid.title(), "sn": uid.title(), "mail": f"{uid}@example.com", "userPassword": password}
        self.add(dn, "inetOrgPerson", uid=uid, **(told | attributes))
        return dn

    def group(self, name: str, member: str) -> str:
        """Add a group of one; return its distinguished name."""
        dn = f"cn={name},{GROUPS}"
        self.add(dn, "groupOfNames", cn=name, member=member)
        return dn

    def clear(self) -> None:
        """Remove everybody and every group."""
        import ldap

        for base in (GROUPS, PEOPLE):
            for dn, _attributes in self.root.search_s(base, ldap.SCOPE_ONELEVEL, "(objectClass=*)", ["1.1"]):
                self.root.delete_s(dn)


@contextlib.contextmanager
def running_directory() -> Iterator[Directory]:
    """Run a directory until the end of the block. Raises ``EngineTrouble`` without slapd."""
    import ldap

    found = program("slapd", package="slapd")
    with short_directory() as directory:
        # A copy: where AppArmor confines slapd by its path, it could not read these folders.
        binary = shutil.copy(found, directory / "slapd")
        made = certificates()
        for name, text in (
            ("ca.pem", made.ca_pem),
            ("server.pem", made.server_certificate_pem),
            ("server.key", made.server_key_pem),
            ("slapd.conf", _CONFIGURATION.format(directory=directory)),
        ):
            (directory / name).write_text(text)
        (directory / "data").mkdir()
        port, tls_port = free_port(), free_port()
        # 127.0.0.2 is not in its certificate.
        addresses = f"ldap://127.0.0.1:{port}/ ldap://127.0.0.2:{port}/ ldaps://127.0.0.1:{tls_port}/"
        log = directory / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [binary, "-d", "0", "-f", str(directory / "slapd.conf"), "-h", addresses],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        try:
            wait_until(lambda: _listens(port) and _listens(tls_port), process=process, log=log, what="slapd")
            root = ldap.initialize(f"ldap://127.0.0.1:{port}")
            root.simple_bind_s(_ROOT_DN, _ROOT_PASSWORD)
            running = Directory(port=port, tls_port=tls_port, ca_file=directory / "ca.pem", process=process, root=root)
            running.add(BASE, "dcObject", "organization", dc="example", o="Example")
            running.add(PEOPLE, "organizationalUnit", ou="people")
            running.add(GROUPS, "organizationalUnit", ou="groups")
            running.add(
                SERVICE_DN, "applicationProcess", "simpleSecurityObject", cn="pilothouse", userPassword=SERVICE_PASSWORD
            )
            yield running
            root.unbind_s()
        finally:
            process.terminate()
            process.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    return False
