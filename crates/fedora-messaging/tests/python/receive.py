"""Receives messages with the original client, which holds them against the schemas that they name, and prints each as
a line of JSON. The first line says that it listens.

Usage: receive.py, with the configuration in FEDORA_MESSAGING_CONF."""

import json

from fedora_messaging import api
from twisted.internet import reactor


def show(value):
    print(json.dumps(value), flush=True)


def receive(message):
    show(
        {
            "class": type(message).__name__,
            "topic": message.topic,
            "id": message.id,
            "severity": message.severity,
            "summary": message.summary,
            "packages": message.packages,
            "headers": message._headers,
            "content_type": message._properties.content_type,
            "content_encoding": message._properties.content_encoding,
            "delivery_mode": message._properties.delivery_mode,
            "priority": message._properties.priority,
            "body": message.body,
        }
    )


api.twisted_consume(receive).addCallback(lambda _: show("listening"))
reactor.run()
