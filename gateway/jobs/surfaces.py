"""The jobs that surfaces have beside what they answer at once."""

from collections.abc import Callable

from gateway.api.responses.background import job_of
from gateway.api.serving import Serving
from gateway.batches.job import batch_jobs
from gateway.blobs.sweeping import sweeping
from gateway.jobs.base import Job
from gateway.jobs.orphans import orphans
from gateway.tuning.files import data_of
from gateway.tuning.runner import Runner


def surfaces(serving: Callable[[], Serving]) -> list[Job]:
    return [job_of(serving), *batch_jobs(serving), sweeping(serving), orphans(serving), *Runner(serving, data_of).jobs()]
