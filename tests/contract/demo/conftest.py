"""The demo of the story tests, for comparison."""

from tests.story.demo.conftest import told

__all__ = ["told"]
