"""One process among several that count together: asks as fast as it is told to, and prints what it was given.

    python -m tests.state.replica URL PREFIX JOB NUMBER SECONDS

JOB    rpm      requests of one, against 100 a minute
       tpm      requests of 700 tokens that use 900, against 20,000 a minute
       budget   requests that may cost 0.01 and cost 0.007, against 1.00 in all
       die      takes as many as it is let, and is killed with them in its hands
"""

import asyncio
import json
import os
import signal
import sys

from gateway.state.base import Bucket, Held, Refused, Unseeded, window
from gateway.state.valkey import Valkey

RPM = window("team red rpm", 100, "requests")
TPM = window("team red tpm", 20_000, "tokens")
BUDGET = Bucket("team red budget CNY total", 1_000_000_000, "CNY", seeded=True)
PLACES = Bucket("team red concurrent", 50, "concurrent")
GRANT = Bucket("grant a", 1000, "tokens", seeded=True, keep=True)
JOBS = {
    "rpm": ((RPM,), (1,), (1,)),
    "tpm": ((TPM,), (700,), (900,)),
    "budget": ((BUDGET,), (10_000_000,), (7_000_000,)),
    "die": ((PLACES, GRANT), (1, 10), (0, 0)),
}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(url: str, prefix: str, job: str, number: int, seconds: float) -> None:
    buckets, amounts, actual = JOBS[job]
    state = Valkey(url, prefix=prefix, lease=2.0, timeout=5.0)  # what is tested is the counting: a slow machine is no failure
    await state.open()
    counts = {"admitted": 0, "refused": 0, "unknown": 0}

    async def one(at: float) -> None:
        await asyncio.sleep(at)
        match await state.reserve(buckets, amounts):
            case Held() as held:
                counts["admitted"] += 1
                if job != "die":
                    await asyncio.sleep(0.05)
                    state.settle(held, actual)
            case Refused():
                counts["refused"] += 1
            case Unseeded():
                counts["unknown"] += 1

    say("ready")
    sys.stdin.readline()
    await asyncio.gather(*[one(seconds * n / number) for n in range(number)])
    say(json.dumps({**counts, "degraded": state.degraded, "replicas": state.replicas}))
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    await state.arrived()
    await state.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
