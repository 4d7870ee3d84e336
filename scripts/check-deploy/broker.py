"""The users of the demonstration's broker, made from the permissions that the topology prints."""

import base64
import hashlib
import json
import re

import sources

USERS = "deploy/compose/rabbitmq/users.json"
VHOST = "passereau"
LINE = re.compile(r"^rabbitmqctl set_permissions -p '([^']+)' '([^']+)' '([^']+)' '([^']+)' '([^']+)'$", re.MULTILINE)


def hashed(user):
    """RabbitMQ's own form: base64(salt, SHA-256(salt, password)). The salt is made from the name, so that the file is the same each time; the password
    is no secret."""
    salt = hashlib.sha256(user.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + b"demo").digest()).decode()


def users():
    permissions = [
        {"vhost": vhost, "user": user, "configure": configure, "write": write, "read": read}
        for vhost, user, configure, write, read in LINE.findall(sources.read("deploy/rabbitmq/permissions.sh"))
    ]
    tags = {entry["user"]: [] for entry in permissions} | {"admin": ["administrator"], "passereau-keda": ["monitoring"]}
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    permissions += [{"vhost": VHOST, "user": "admin"} | everything, {"vhost": VHOST, "user": "passereau-keda"} | nothing]
    return {
        "users": [
            {"name": name, "password_hash": hashed(name), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": of}
            for name, of in tags.items()
        ],
        "permissions": permissions,
    }


def text():
    return json.dumps(users(), indent=2) + "\n"


def check(complain):
    path = sources.ROOT / USERS
    if not path.exists() or path.read_text(encoding="utf-8") != text():
        complain(USERS, "is not what deploy/rabbitmq/permissions.sh makes it: run `scripts/check-deploy.sh --write`")


def queues():
    return {queue["name"] for queue in json.loads(sources.read("deploy/rabbitmq/definitions.json"))["queues"]}
