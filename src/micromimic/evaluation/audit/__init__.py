"""What choosing the epoch on the tested subject claims."""
