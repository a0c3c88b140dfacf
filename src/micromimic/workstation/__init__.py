"""The workstation: an HTTP interface, its pages, and the processes that decode for it."""
