"""The demo: data and story, told through the services."""
