"""A package, for a dependency ships one of this name too, and children would find that first."""
