"""serve.py PORT…: answers on TCP and UDP, on all addresses of both families, with whom it sees."""
import socket
import sys
import threading


def answer_tcp(server):
    while True:
        connection, peer = server.accept()
        connection.sendall(peer[0].removeprefix("::ffff:").encode())
        connection.close()


def answer_udp(server):
    while True:
        # From the address that was asked, of all that this machine has.
        _, where, _, peer = server.recvmsg(2048, 256)
        server.sendmsg([peer[0].removeprefix("::ffff:").encode()], where, 0, peer)


for port in map(int, sys.argv[1:]):
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    udp.bind(("::", port))
    threading.Thread(target=answer_tcp, args=[tcp], daemon=True).start()
    threading.Thread(target=answer_udp, args=[udp], daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
