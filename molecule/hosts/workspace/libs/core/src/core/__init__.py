"""What several apps of the workspace share."""


def hello():
    return "hello from the neighbour"
