"""A caller of the daemon, made by gRPC's own generator for Python out of the .proto files alone.

    grpc_client.py SET STUBS ADDRESS KERNEL DISK

SET: file with the descriptors of the .proto files; STUBS: an empty directory for what is made of them. Prints what it
saw as one JSON document, which test/e2e/clients.test.ts judges.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from shutil import which
from subprocess import run

import grpc
from google.protobuf import any_pb2, descriptor_pb2, json_format

TIMEOUT_S = 60


def generate(protos, stubs):
    """Makes the stubs, and lets them be imported."""
    files = descriptor_pb2.FileDescriptorSet.FromString(Path(protos).read_bytes()).file
    # Stubs of the package `grpc` would hide gRPC itself.
    names = [file.name for file in files if not file.name.startswith(("google/", "grpc/"))]
    made_by = f"--plugin=protoc-gen-grpc_python={which('grpc_python_plugin')}"
    outputs = [f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
    run(["protoc", f"--descriptor_set_in={protos}", made_by, *outputs, *names], check=True)
    sys.path.insert(0, stubs)


def failure(call):
    """A failed call as its caller sees it, the typed details included."""
    try:
        call()
    except grpc.RpcError as error:
        status = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        return {"code": error.code().name, "details": [json_format.MessageToDict(info) for info in infos(status)]}
    return None


def infos(status):
    """What Warder tells in a google.rpc.Status, whose own stubs Debian does not have."""
    for packed in repeated(status, 3):
        info = import_module("warder.v1.error_pb2").ErrorInfo()
        if any_pb2.Any.FromString(packed).Unpack(info):
            yield info


def repeated(message, wanted):
    """The values of a length-delimited field."""
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        length, position = varint(message, position)
        if tag & 7 != 2:
            continue
        if tag >> 3 == wanted:
            yield message[position : position + length]
        position += length


def varint(data, position):
    value = shift = 0
    while data[position] >= 0x80:
        value |= (data[position] & 0x7F) << shift
        shift += 7
        position += 1
    return value | data[position] << shift, position + 1


def until(stream, is_wanted):
    """Messages of a stream until one is wanted; then the stream is left."""
    seen = []
    for message in stream:
        seen.append(message)
        if is_wanted(message):
            break
    stream.cancel()
    return seen


def metald(channel, kernel, disk):
    """The seed's calls; the VM is left running."""
    vm, stub = import_module("vmprovisioner.v1.vm_pb2"), import_module("vmprovisioner.v1.vm_pb2_grpc").VmServiceStub(channel)
    config = {
        "cpu": {"vcpu_count": 1},
        "memory": {"size_bytes": 134217728},
        "boot": {"kernel_path": kernel},
        "storage": [{"path": disk, "is_root_device": True}],
    }
    request = json_format.ParseDict({"vm_id": "python", "config": config}, vm.CreateVmRequest())
    states = [
        stub.CreateVm(request, timeout=TIMEOUT_S).state,
        stub.BootVm(vm.BootVmRequest(vm_id="python"), timeout=TIMEOUT_S).state,
        stub.GetVmInfo(vm.GetVmInfoRequest(vm_id="python"), timeout=TIMEOUT_S).state,
    ]
    return {
        "states": [vm.VmState.Name(state) for state in states],
        "absent": failure(lambda: stub.GetVmInfo(vm.GetVmInfoRequest(vm_id="absent"), timeout=TIMEOUT_S)),
        "wrong": failure(lambda: stub.CreateVm(vm.CreateVmRequest(config={}), timeout=TIMEOUT_S)),
    }


def warder(channel):
    """Streams and a deadline; the VM is removed."""
    vm, names = import_module("warder.v1.vm_service_pb2"), import_module("warder.v1.vm_pb2")
    stub = import_module("warder.v1.vm_service_pb2_grpc").VmServiceStub(channel)
    output = vm.StreamOutputRequest(id="python", kind=vm.OUTPUT_KIND_CONSOLE, follow=True)
    console = until(stub.StreamOutput(output, timeout=TIMEOUT_S), lambda message: b"tick" in message.data)
    stub.PauseVm(vm.PauseVmRequest(id="python"), timeout=TIMEOUT_S)
    watched = stub.WatchVms(vm.WatchVmsRequest(since=0, id="python"), timeout=TIMEOUT_S)
    changes = until(watched, lambda message: message.change.state == names.VM_STATE_PAUSED)
    deadline = failure(lambda: stub.WaitVm(vm.WaitVmRequest(id="python"), timeout=0.5))
    stub.RemoveVm(vm.RemoveVmRequest(id="python", force=True), timeout=TIMEOUT_S)
    return {
        "console": b"".join(message.data for message in console).decode(),
        "changes": [names.VmState.Name(message.change.state) for message in changes],
        "deadline": deadline and deadline["code"],
        "left": len(stub.ListVms(vm.ListVmsRequest(all=True), timeout=TIMEOUT_S).vms),
    }


def health(channel):
    """By the bytes, as there are no stubs of it. Field 1 of the answer: 1 is SERVING."""
    name = b"warder.v1.VmService"
    asked = b"\x0a" + bytes([len(name)]) + name
    check = channel.unary_unary("/grpc.health.v1.Health/Check")(asked, timeout=TIMEOUT_S)
    watch = until(channel.unary_stream("/grpc.health.v1.Health/Watch")(asked, timeout=TIMEOUT_S), bool)
    return [check.hex(), *(message.hex() for message in watch)]


def main(protos, stubs, address, kernel, disk):
    generate(protos, stubs)
    with grpc.insecure_channel(address) as channel:
        seen = {**metald(channel, kernel, disk), **warder(channel), "health": health(channel)}
    print(json.dumps(seen))


main(*sys.argv[1:])
