"""reach.py SECONDS PROTOCOL/ADDRESS/PORT…: tries all at once; prints for each what answered, or why nothing did.

What does not answer in time is tried once more, with the time that a lost packet needs to be sent again: the first packet
between two addresses may be lost to their finding each other, and a machine may be busy.
"""
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


ONCE_MORE_SECONDS = 2.5


def reach(target):
    found = reach_within(target, float(sys.argv[1]))
    if found != "timeout":
        return found
    # A router says so, too, once it has looked for the address for some seconds.
    return reach_within(target, ONCE_MORE_SECONDS).replace("No route to host", "timeout")


def reach_within(target, seconds):
    protocol, address, port = target.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as client:
            client.settimeout(seconds)
            client.connect((address, int(port)))
            if protocol == "udp":
                client.send(b"?")
            return client.recv(200).decode() or "closed"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return error.strerror or str(error)


with ThreadPoolExecutor(64) as pool:
    print(json.dumps(dict(zip(sys.argv[2:], pool.map(reach, sys.argv[2:])))))
