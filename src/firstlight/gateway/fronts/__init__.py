"""HTTP as AWS puts it before a function: Function URLs, REST APIs and HTTP APIs, each on its own local path.

``/lambda-url/NAME/...``, ``/rest-api/NAME/...`` and ``/http-api/NAME/...`` are there for every endpoint and are as
strict as AWS. A project's ``route`` is one of the three by its ``front.kind``.
"""
