"""A running hypervisor, reached from outside: a Unix socket, requests in JSON."""
