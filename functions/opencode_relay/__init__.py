"""A relay that carries an OAuth authorization code to the instance that opened the login."""

from importlib.metadata import version

__version__ = version("opencode-relay")
