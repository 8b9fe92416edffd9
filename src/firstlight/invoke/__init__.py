"""From an invocation to its reply: a local pool of workers behind AWS Lambda's own Runtime API."""
