"""The socket's side of the gateway: HTTP/1.1 with limits on all that a client can make the server hold or wait for."""
