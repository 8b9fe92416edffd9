"""Work that is answered later: Event invocations and jobs, kept until they are done, whatever happens to the server."""
