"""Jobs for people: inference requests whose answer is fetched later (``Prefer: respond-async``), and ``/v1/jobs``.

Words and states are those of Cog's and Replicate's predictions; preferences are RFC 7240's.
"""

from firstlight.gateway.jobs.carrying import RequestCarrier
from firstlight.gateway.jobs.inside import runs_as_job
from firstlight.gateway.jobs.taking import before_wall, take

__all__ = ["RequestCarrier", "before_wall", "runs_as_job", "take"]
