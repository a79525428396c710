"""reach.py SECONDS PROTOCOL/ADDRESS/PORT…: tries all at once; prints for each what answered, or why nothing did."""
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


def reach(target):
    protocol, address, port = target.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as client:
            client.settimeout(float(sys.argv[1]))
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
