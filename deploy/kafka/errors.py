"""What can go wrong while a cluster is prepared."""


class ClusterSetupError(Exception):
    """The cluster was not prepared as asked; the text says what was found, expected and what to do."""
