"""Alembic's env.py: compares types and defaults too, the strictest setting. RECIPE is the file with `include_object`."""

import os
import runpy

from alembic import context
from models import Base
from sqlalchemy import create_engine, pool

recipe = os.environ.get("RECIPE")
options = {"include_object": runpy.run_path(recipe)["include_object"]} if recipe else {}

with create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()
