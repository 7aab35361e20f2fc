"""A relay that carries an OAuth authorization code to the instance that opened the login."""

__version__ = "0.2.0"
# Where the project is published, without a slash at its end: the page at `/` links to it.
# Empty until it is. Others have projects of this name, and a guess would send people to them.
REPOSITORY = ""
