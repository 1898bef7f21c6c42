"""What people enter about a host, parsed and checked."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from console.gateway import Driver, Endpoint, TlsCredentials
from console.hosts.addresses import clean_address, clean_name, same_place
from console.hosts.certificates import SIZE_LIMIT, BadPem, Bundle, read_bundle
from console.hosts.models import DriverChoice, Host

PEM_FIELDS: Final = ("ca_pem", "certificate_pem", "key_pem")
SOCKET: Final = "socket"
TLS: Final = "tls"
PLAIN: Final = "plain"


class _WriteOnly(forms.Textarea):
    """Never filled in by us: what was typed stays in the browser (``hx-preserve``) or is typed again."""

    def format_value(self, value: Any) -> str | None:
        """Nothing."""
        del value
        return None


class _Pem(forms.CharField):
    """A PEM text of bounded size, as typed."""

    def __init__(self, label: Any, *, example: str) -> None:
        widget = _WriteOnly(
            attrs={
                "rows": 3,
                "class": "mono",
                "placeholder": f"-----BEGIN {example}-----",
                "autocomplete": "off",
                "spellcheck": "false",
                "hx-preserve": "true",
            }
        )
        super().__init__(label=label, required=False, max_length=SIZE_LIMIT, strip=True, widget=widget)


class _PemFile(forms.FileField):
    """The same as a file."""

    def __init__(self, label: Any) -> None:
        widget = forms.FileInput(attrs={"accept": ".pem,.crt,.cer,.key,text/plain", "hx-preserve": "true"})
        super().__init__(label=label, required=False, allow_empty_file=True, widget=widget)


class HostForm(forms.Form):
    """Adds a host, edits one, or describes one to be tested.

    Credentials are write-only: the form is never filled with them. On edit, empty PEM fields keep what is stored, but
    only for the address it was entered for; with another address everything is to be entered again.
    """

    name = forms.CharField(
        label=_("Name"),
        max_length=60,
        help_text=_("What people call the machine: letters, digits, dots, dashes. Example: build-01."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    driver = forms.ChoiceField(label=_("Engine"), choices=DriverChoice.choices, initial=DriverChoice.DOCKER)
    security = forms.ChoiceField(
        label=_("How it is reached"),
        choices=[
            (SOCKET, _("Socket on this machine")),
            (TLS, _("Another machine, with TLS certificates on both sides")),
            (PLAIN, _("Another machine, plain TCP without any protection")),
        ],
        widget=forms.RadioSelect,
        required=False,
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=255,
        help_text=_("unix:///var/run/docker.sock for a socket on this machine, tcp://10.0.0.5:2376 for another one."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono", "inputmode": "url"}
        ),
    )
    plain_confirmed = forms.BooleanField(
        label=_("I know that everybody who can reach this port controls that machine as root."), required=False
    )
    ca_pem = _Pem(_("CA certificate"), example="CERTIFICATE")
    ca_file = _PemFile(_("CA certificate as a file"))
    certificate_pem = _Pem(_("Client certificate"), example="CERTIFICATE")
    certificate_file = _PemFile(_("Client certificate as a file"))
    key_pem = _Pem(_("Client key"), example="PRIVATE KEY")
    key_file = _PemFile(_("Client key as a file"))

    def __init__(self, data: Any = None, files: Any = None, *, host: Host | None = None, testing: bool = False) -> None:
        initial: dict[str, Any] = {"security": SOCKET, "url": ""}
        if host is not None:
            security = SOCKET if host.url.startswith("unix://") else TLS if host.has_credentials else PLAIN
            initial = {"name": host.name, "driver": host.driver, "url": host.url, "security": security}
            initial["plain_confirmed"] = security == PLAIN
        # Ids of their own for each host, so that what the browser keeps of one form never shows up in another.
        super().__init__(data, files, initial=initial, auto_id=f"host-{host.id if host else 'new'}-%s")
        self.host = host
        if testing:
            # What the host will be called does not matter to its engine.
            self.fields["name"].required = False
        self._testing = testing
        self.bundle: Bundle | None = None
        self.keeps_credentials = False

    @property
    def pem_fields(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Text and file of each of the three."""
        return [(self[name], self[name.replace("_pem", "_file")]) for name in PEM_FIELDS]

    def clean_name(self) -> str:
        """Check the form and that nobody has the name."""
        name = str(self.cleaned_data["name"])
        if self._testing:
            return name
        clean_name(name)
        others = Host.objects.exclude(id=self.host.id) if self.host else Host.objects.all()
        if others.filter(name__iexact=name).exists():
            raise ValidationError(_("A host has this name already. Choose another."), code="taken")
        return name

    def clean_url(self) -> str:
        """Bring the address into its one spelling and check that no other host has it."""
        url = clean_address(str(self.cleaned_data["url"]))
        others = Host.objects.exclude(id=self.host.id) if self.host else Host.objects.all()
        place = same_place(url)
        for other in others.only("name", "url"):
            if same_place(other.url) == place:
                raise ValidationError(
                    _("This address is registered already, as the host “%(name)s”. Edit that host instead."),
                    code="taken",
                    params={"name": other.name},
                )
        return url

    def _text(self, name: str) -> str:
        """The text of a PEM field: what was uploaded, else what was pasted."""
        upload: UploadedFile[Any] | None = self.cleaned_data.get(name.replace("_pem", "_file"))
        if upload is None:
            return str(self.cleaned_data.get(name, ""))
        if (upload.size or 0) > SIZE_LIMIT:
            raise BadPem(name, gettext("This file is larger than 64 KiB. A PEM file has a few KiB."))
        try:
            return str(upload.read(), "ascii").strip()
        except UnicodeDecodeError as error:
            raise BadPem(
                name, gettext("This file is not PEM text. Convert it, for example with openssl x509 -inform der.")
            ) from error

    def clean(self) -> dict[str, Any]:
        """Check the certificates against each other, or that their absence is meant."""
        url = str(self.cleaned_data.get("url", ""))
        security = self.cleaned_data.get("security") or (SOCKET if url.startswith("unix://") else TLS)
        if url and url.startswith("unix://") != (security == SOCKET):
            self.add_error("url", self._mismatch(security))
        if security == SOCKET:
            return self.cleaned_data
        if security == PLAIN:
            if not self.cleaned_data.get("plain_confirmed"):
                self.add_error(
                    "plain_confirmed",
                    _("Without TLS anybody on the way can take over that machine. Confirm it, or use TLS."),
                )
            return self.cleaned_data
        try:
            texts = {name: self._text(name) for name in PEM_FIELDS}
            if not any(texts.values()) and self._may_keep(url):
                self.keeps_credentials = True
                return self.cleaned_data
            missing = [name for name in PEM_FIELDS if not texts[name]]
            for name in missing:
                self.add_error(name, self._missing(url))
            if not missing and not any(name in self.errors for name in PEM_FIELDS):
                self.bundle = read_bundle(**texts, now=timezone.now())
        except BadPem as error:
            self.add_error(error.field, ValidationError(error.sentence, code="pem"))
        return self.cleaned_data

    def _mismatch(self, security: str) -> ValidationError:
        if security == SOCKET:
            return ValidationError(
                _("You chose a socket on this machine, so the address begins with unix://."), code="mismatch"
            )
        return ValidationError(_("You chose another machine, so the address begins with tcp://."), code="mismatch")

    def _may_keep(self, url: str) -> bool:
        return self.host is not None and self.host.has_credentials and self.host.url == url

    def _missing(self, url: str) -> ValidationError:
        if self.host is not None and self.host.has_credentials and self.host.url != url:
            return ValidationError(
                _(
                    "The address changed, so enter the certificates and the key again: stored ones are used only with "
                    "the address they were entered for."
                ),
                code="reenter",
            )
        return ValidationError(_("TLS needs all three: paste it or choose the file."), code="required")

    @property
    def credentials(self) -> dict[str, str] | None:
        """What the form says the host's credentials shall be; valid forms only."""
        if self.keeps_credentials and self.host is not None:
            credentials: dict[str, str] | None = self.host.credentials
            return credentials
        return self.bundle.credentials if self.bundle else None

    def endpoint(self) -> Endpoint:
        """The endpoint that the form describes; valid forms only."""
        credentials = self.credentials
        return Endpoint(
            driver=Driver(self.cleaned_data["driver"]),
            url=self.cleaned_data["url"],
            tls=TlsCredentials(**credentials) if credentials else None,
        )


class RemoveForm(forms.Form):
    """Asks for the name of what goes."""

    confirmation = forms.CharField(label=_("Name of the host"), max_length=60)

    def __init__(self, data: Any = None, *, host: Host) -> None:
        super().__init__(data)
        self.host = host

    def clean_confirmation(self) -> str:
        """The name must be the host's."""
        typed = str(self.cleaned_data["confirmation"])
        if typed != self.host.name:
            raise ValidationError(
                _("This is not the host's name. Type “%(name)s” exactly."), code="name", params={"name": self.host.name}
            )
        return typed
