"""A process that is stopped for a while, as by a machine that moves: nobody is taken for silent who has spoken meanwhile."""

import signal
import time
from contextlib import ExitStack

from tests.battery_front.conftest import Serve
from tests.battery_front.crowd import Streams
from tests.battery_front.speaking import LAST, ask, body_of, good, post
from tests.battery_front.vendor import Vendor


def test_streams_survive_a_stop_that_is_longer_than_their_idle_time(serve: Serve, vendor: Vendor) -> None:
    with serve(timeouts={"idle": "3s", "first_token": "3s"}, body_timeout="3s", head_timeout="3s") as service, ExitStack() as stack:
        streams = Streams(service, vendor, 50, stack)

        service.process.send_signal(signal.SIGSTOP)
        try:
            streams.let_go()  # the vendor says the rest to a gateway that does not read
            time.sleep(3.6)  # for so long it is stopped
        finally:
            service.process.send_signal(signal.SIGCONT)

        streams.are_whole()
        answer = good(ask(service.url, post(body_of(), LAST)))
        assert answer.header("x-banjia-attempts") == "1"
