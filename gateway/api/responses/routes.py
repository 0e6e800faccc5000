"""What /v1/responses and /v1/conversations have, in one table."""

from gateway.api.responses.compact import ROUTES as COMPACT
from gateway.api.responses.conversations import ROUTES as CONVERSATIONS
from gateway.api.responses.counting import ROUTES as COUNTING
from gateway.api.responses.create import ROUTES as CREATE
from gateway.api.responses.lifecycle import ROUTES as LIFECYCLE
from gateway.api.serving import Routes

ROUTES: Routes = {**CREATE, **COMPACT, **COUNTING, **LIFECYCLE, **CONVERSATIONS}
