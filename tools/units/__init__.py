"""What makes the fields of action units that ship, from CC0 data; see ``__main__``."""
