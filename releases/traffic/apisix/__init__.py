"""APISIX: the plugin traffic-split and the nodes of upstreams, over the Admin API v3."""
