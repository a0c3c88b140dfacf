"""What every room shares: values, errors, files, labels."""
