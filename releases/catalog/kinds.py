"""The words of the catalogue: kinds of environments, connections, bindings; where knowledge comes from."""

from enum import StrEnum
from uuid import UUID

Place = tuple[UUID, UUID]
"""A service id and an environment id, in this order."""


class EnvironmentKind(StrEnum):
    """What an environment is for."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"


class ConnectionKind(StrEnum):
    """Which outside system a connection leads to."""

    JENKINS = "jenkins"
    KUBERNETES = "kubernetes"
    PROMETHEUS = "prometheus"
    HTTP = "http"
    KONG = "kong"
    APISIX = "apisix"
    SPINNAKER = "spinnaker"

    @property
    def splits_traffic(self) -> bool:
        """Say whether the traffic of a service can be split there."""
        return self in {ConnectionKind.KUBERNETES, ConnectionKind.KONG, ConnectionKind.APISIX}

    @property
    def needs_account(self) -> bool:
        """Say whether the other side asks for an account beside the secret."""
        return self is ConnectionKind.JENKINS

    @property
    def needs_token(self) -> bool:
        """Say whether a client certificate alone lets nobody in there."""
        return self in {ConnectionKind.JENKINS, ConnectionKind.APISIX}

    @property
    def needs_secret(self) -> bool:
        """Say whether nothing can be done there without a secret."""
        return self in {ConnectionKind.JENKINS, ConnectionKind.KUBERNETES, ConnectionKind.APISIX}


class Light(StrEnum):
    """How the last test of a connection ended: all is well, something there must be mended, nothing can be done."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"


class Purpose(StrEnum):
    """What a service in an environment uses a connection for."""

    DEPLOY = "deploy"
    TRAFFIC = "traffic"
    HEALTH = "health"
    BUDGET = "budget"


class Figure(StrEnum):
    """What the figure of a health check is: a share of requests that failed, seconds, any number, or a yes or no."""

    ERRORS = "errors"
    SECONDS = "seconds"
    NUMBER = "number"
    ANSWER = "answer"


class DependencySource(StrEnum):
    """Where an edge was read; from a shared address book or a list somebody keeps it is a hint until confirmed."""

    MANUAL = "manual"
    ENVIRONMENT = "environment"
    CONFIG = "config"
    SHARED_CONFIG = "shared_config"
    BACKSTAGE = "backstage"
    CSV = "csv"

    @property
    def is_hint(self) -> bool:
        """Say whether this source alone proves nothing."""
        return self in {DependencySource.SHARED_CONFIG, DependencySource.BACKSTAGE, DependencySource.CSV}


class DataClass(StrEnum):
    """Kinds of data that raise the stakes."""

    PERSONAL = "personal"
    CARD = "card"
    MONEY = "money"
