"""Make the first owner of an empty installation."""

import secrets
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from releases.accounts import services
from releases.core import clock
from releases.core.errors import Invalid, Refused


class Command(BaseCommand):
    """``manage.py bootstrap --username ana --name "Ana Souza" --email ana@example.com``."""

    help = "Make the first owner of an empty installation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="plain letters, digits and . _ - @")
        parser.add_argument("--name", required=True, help="the person's name as others see it")
        parser.add_argument("--email", default="")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input instead of making one"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        given = options["password_stdin"]
        password = sys.stdin.readline().rstrip("\r\n") if given else secrets.token_urlsafe(18)
        try:
            user = services.bootstrap(
                username=options["username"],
                name=options["name"],
                email=options["email"],
                password=password,
                now=clock.now(),
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        except Invalid as error:
            reasons = [f"{field}: {one}" for field, many in error.fields.items() for one in many]
            raise CommandError(" ".join([str(error), *reasons])) from error
        self.stdout.write(f"{user.person.name} is the first owner and signs in as {user.username}.")
        self.stdout.write(f"Go on at {settings.PUBLIC_URL.rstrip('/')}/start: it leads to the first change.")
        if not given:
            self.stdout.write(f"Password, shown only now: {password}")
