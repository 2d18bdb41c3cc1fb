"""The migrations say what the models say."""

from django.apps import apps
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState


def changes(state: ProjectState) -> list[str]:
    """Return what would have to be migrated to get to this state; asks no database."""
    loader = MigrationLoader(None)
    found = MigrationAutodetector(loader.project_state(), state).changes(graph=loader.graph, trim_to_apps={"releases"})
    return [operation.describe() for one in found.get("releases", []) for operation in one.operations]


def test_the_migrations_are_complete():
    assert changes(ProjectState.from_apps(apps)) == []


def test_a_model_without_its_migration_is_found():
    state = ProjectState.from_apps(apps)
    state.add_model(ModelState("releases", "Novelty", [("id", models.AutoField(primary_key=True))]))

    assert "Create model Novelty" in changes(state)
