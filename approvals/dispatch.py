"""An approved action is handed to the workers by name: what runs it needs the one door, which stands above this app."""

import logging
import uuid

from celery import current_app
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)
RUN_ACTION = "observatory.run_action"


def run_soon(action_id: uuid.UUID) -> bool:
    """True: a worker was told. False: the broker is down; the sweep of approved actions runs it all the same."""
    try:
        current_app.send_task(RUN_ACTION, [str(action_id)], retry=False)
    except (OperationalError, OSError):
        log.exception("the broker was not told of approved action %s; the sweep runs it", action_id)
        return False
    return True
