#!/usr/bin/env python3
"""Ask Passereau for a harvest and wait for its end, with nothing but AMQP and JSON.

usage: harvest.py OBJECT_KEY_OF_AN_ARCHIVE      (or change `request` below: see docs/messages.md)

Needs pika (Debian: python3-pika). Reads PASSEREAU_AMQP_URL and, where the fleet uses one, PASSEREAU_AMQP_PREFIX.
"""

import json
import os
import sys

import pika

prefix = os.environ.get("PASSEREAU_AMQP_PREFIX", "")
request = {"archive": sys.argv[1]}

connection = pika.BlockingConnection(pika.URLParameters(os.environ["PASSEREAU_AMQP_URL"]))
channel = connection.channel()

# Listen first, so that no event is missed: a queue of our own on the topic exchange of events.
queue = channel.queue_declare(queue="", exclusive=True).method.queue
channel.queue_bind(queue=queue, exchange=prefix + "passereau.events", routing_key="harvest.*")

# With confirms and `mandatory`, a request that no queue takes is an error here and not silence.
channel.confirm_delivery()
channel.basic_publish(
    exchange=prefix + "passereau.work",
    routing_key="harvest.request",
    body=json.dumps(request),
    mandatory=True,
)

for method, _properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=120):
    if method is None:
        sys.exit("no event within two minutes: is the fleet running?")
    event = json.loads(body)
    print(method.routing_key, event["harvest_id"], json.dumps(event["counts"]))
    if method.routing_key in ("harvest.failed", "harvest.cancelled"):
        sys.exit(event["reason"])
    if method.routing_key == "harvest.completed":
        break

connection.close()
