"""A web app in a folder of a workspace: it needs its neighbour, and a package in the version of the workspace's lock file."""

import json
import os

import core
import markupsafe


def app(_environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"core": core.hello(), "markupsafe": markupsafe.__version__, "folder": os.getcwd()}).encode()]
