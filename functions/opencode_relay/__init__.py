"""A relay that carries an OAuth authorization code to the instance that opened the login."""

__version__ = "0.2.0"
