"""The ways an API server says no, told apart by what to do next.

::

    Rejected                    a clear no, nothing was written
      Unauthorized              the token is not known
      Forbidden                 the role of the token does not cover this
      NotInstalled              the group or version is not served: the product behind it is not there
      ObjectMissing             the object is not there
      VersionConflict           somebody wrote meanwhile: read again
      PatchFailed               an operation of the patch failed: read again
      Denied                    an admission webhook refused the content
      Invalid                   the schema refused the content
      Malformed                 the request itself was wrong: a defect of ours
        DryRunUnsupported       a webhook cannot be asked without writing: whether it would refuse is not known
    Unreachable                 not known whether it was written
      WebhookDown               a required webhook does not answer: no such object can be written by anybody
      Throttled                 too many requests; nothing was written
"""

from releases.core.errors import Rejected, Sentence, Unreachable


class Unauthorized(Rejected):
    """The token is wrong or has expired."""

    code = "cluster_unauthorized"


class Forbidden(Rejected):
    """The role of the token does not cover this."""

    code = "cluster_forbidden"


class NotInstalled(Rejected):
    """The group or version is not served."""

    code = "cluster_not_installed"


class ObjectMissing(Rejected):
    """There is no such object, or no longer."""

    code = "cluster_object_missing"


class VersionConflict(Rejected):
    """The object changed since it was read."""

    code = "cluster_conflict"


class PatchFailed(Rejected):
    """One operation of the patch failed; the server does not say which."""

    code = "cluster_patch_failed"


class Denied(Rejected):
    """An admission webhook refused the content."""

    code = "cluster_denied"


class Invalid(Rejected):
    """The schema refused the content."""

    code = "cluster_invalid"


class Malformed(Rejected):
    """The request itself was wrong."""

    code = "cluster_malformed"


class DryRunUnsupported(Malformed):
    """A webhook has side effects, so the server tries nothing out."""

    code = "cluster_dry_run_unsupported"


class WebhookDown(Unreachable):
    """A webhook that must answer does not."""

    code = "cluster_webhook_down"


class Throttled(Unreachable):
    """The server asks to come back later; nothing was written."""

    code = "cluster_throttled"

    def __init__(self, detail: Sentence | str, *, retry_after: float) -> None:
        """Keep how many seconds it asked for."""
        super().__init__(detail)
        self.retry_after = retry_after
