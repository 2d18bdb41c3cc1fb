"""Commands of manage.py; they stand on the top floor."""
