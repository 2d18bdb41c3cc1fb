"""Why a call came to nothing, in words: what broke, and whether anything can have been sent."""

import ssl
from collections.abc import Iterator, Mapping

import httpcore2

from releases.core.errors import GmudError, Sentence
from releases.core.words import mark as _

CERTIFICATES: Mapping[int, str] = {  # by OpenSSL's numbers
    9: _("The certificate of %(name)s is not valid yet. Nothing was sent."),
    10: _("The certificate of %(name)s has expired. Nothing was sent."),
    18: _("The certificate of %(name)s is self-signed, so nobody vouches for it. Nothing was sent."),
    19: _("The certificate of %(name)s is self-signed, so nobody vouches for it. Nothing was sent."),
    20: _("The certificate of %(name)s comes from an authority that is not trusted here. Nothing was sent."),
    62: _("The certificate of %(name)s is for another host. Nothing was sent."),
    64: _("The certificate of %(name)s is for another host. Nothing was sent."),
}


def cause(name: str, error: BaseException) -> Sentence:
    """Return why a call to the connection ``name`` came to nothing."""
    parts = {"name": name, "kind": type(error).__name__}
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            text = CERTIFICATES.get(one.verify_code)
            return Sentence(text or _("The certificate of %(name)s is not accepted. Nothing was sent."), parts)
        if isinstance(one, ConnectionRefusedError):
            return Sentence(_("%(name)s did not answer: nothing listens at its address. Nothing was sent."), parts)
    if isinstance(error, httpcore2.ConnectError):
        return Sentence(_("%(name)s did not answer: the connection broke while it was made. Nothing was sent."), parts)
    if isinstance(error, httpcore2.ConnectTimeout):
        return Sentence(_("%(name)s did not answer: it took no connection in time. Nothing was sent."), parts)
    return Sentence(_("%(name)s did not answer (%(kind)s)."), parts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Iterate what broke this call: what lies behind an error of ours is of another one, and chains may be circles."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and not isinstance(error, GmudError):
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
