"""A server of fitted models over HTTP, and its client; needs the extra `serve`."""
