"""Publishes messages with the original client. Each line of the input is a JSON object: the class of the message and its
body. Prints a line for each once the broker has taken it.

Usage: publish.py, with the configuration in FEDORA_MESSAGING_CONF."""

import json
import sys

from fedora_messaging import api
from koji_fedoramessaging_messages import repo, tag, task

CLASSES = {cls.__name__: cls for cls in (repo.DoneV1, tag.TagV1, tag.UntagV1, task.TaskStateChangeV1)}

for line in sys.stdin:
    wanted = json.loads(line)
    api.publish(CLASSES[wanted["class"]](body=wanted["body"]), timeout=60)
    print(wanted["class"], flush=True)
