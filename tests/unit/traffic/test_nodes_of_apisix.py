"""The nodes of an APISIX upstream stand as a list, where a weight may be missing, or as a map, where null deletes."""

import pytest

from releases.traffic.apisix.parsing import Nodes
from releases.traffic.ports import NotEditable

NAMES = ("canary", "stable")
NODES = [{"host": "a", "port": 1, "weight": 5}, {"host": "b", "port": 1, "weight": 5}]


def test_a_weight_that_was_missing_in_a_list_never_deletes_a_node_of_a_map():
    nodes = Nodes({"nodes": {"a:1": 5, "b:1": 5}}, inside=False)
    with pytest.raises(NotEditable, match="map"):
        nodes.operation("upstreams", "1", NAMES, {"stable": None, "canary": 0})

    assert nodes.operation("upstreams", "1", NAMES, {"stable": 5, "canary": 0})["body"] == {
        "nodes": {"a:1": 0, "b:1": 5}
    }


def test_in_a_list_it_is_written_as_missing():
    body = Nodes({"nodes": NODES}, inside=False).operation("upstreams", "1", NAMES, {"stable": None, "canary": 0})[
        "body"
    ]

    assert [one["weight"] for one in body["nodes"]] == [0, None]
