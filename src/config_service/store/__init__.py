"""Everything that is kept, in SQLite or PostgreSQL alike: SQLAlchemy Core, one file per subject."""
