"""Programs of the same user talk to a node that runs (docs/control.md)."""
