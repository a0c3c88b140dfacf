"""Records of people, sessions, videos, jobs and decisions, in SQLite or PostgreSQL."""
