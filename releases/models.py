"""The roll-call of tables: Django finds them here, nobody imports from here."""
