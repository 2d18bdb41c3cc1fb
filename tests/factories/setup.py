"""Configuration files, and an installation whose first owner applies them."""

from releases.accounts import queries, services
from releases.accounts.models import User
from releases.audit.actor import Actor
from tests.factories.accounts import NOW, PASSWORD

SMALL = """\
gmud: 1
teams:
- {name: ledger, title: Ledger, members: [ana]}
people:
- {username: olga, name: Olga Nunes, email: olga@example.com, language: en, roles: [owner]}
- {username: ana, name: Ana Reis, email: ana@example.com, language: pt-br, roles: [engineer, seat_security]}
environments:
- {name: staging, kind: staging, rank: 20}
- {name: production, kind: production, rank: 30}
services:
- {name: cart, title: Cart, team: ledger, tier: web, criticality: 3, data_classes: [money], description: Sells.}
- {name: pricing, team: ledger}
dependencies:
- {caller: cart, callee: pricing, source: manual, detail: prices, confirmed: true}
customers:
- {name: Account holders, segment: retail, size: 10, notice_hours: 24, services: [cart]}
connections:
- {name: ci, kind: jenkins, origin: https://ci.example.com, config: {}, account: gmud}
- {name: mesh, kind: kubernetes, origin: https://k8s.example.com}
bindings:
- {service: cart, environment: production, purpose: deploy, connection: ci, settings: {job: cart, parameters: {A: b}}}
routes:
- service: cart
  environment: production
  connection: mesh
  locator: {namespace: bank, name: cart}
  stable: blue
  canary: green
policy:
  name: Release policy
  rules:
  - {seats: {seat_security: 1}}
"""


def the_first_owner(username: str = "olga") -> Actor:
    """Bootstrap an empty installation and return its owner, signed in."""
    services.bootstrap(username=username, name="First Owner", email="", password=PASSWORD, now=NOW)
    account = User.objects.select_related("person").get(username=username)
    return queries.actor_for(account, session="digest", signed_in_at=NOW, methods=("password",))
