"""What makes the weights that ship: `python tools/weights --help`. No part of the package."""
