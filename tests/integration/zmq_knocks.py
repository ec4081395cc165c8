"""Knocks at ZeroMQ doors, for doors_test.py: with no key, a stranger's, or one of another role. Debian's Python, which has
pyzmq. Reads one JSON value of knocks and prints one of what came of each: "refused by the door", "let in", or the answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import kiln_client as client
import zmq
from zmq.utils.monitor import recv_monitor_message

pb = client.pb
DEADLINE_MS = 10_000
SHUT = (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH |
        zmq.EVENT_DISCONNECTED)
# Bodies that are malformed when they are empty; the others are sent so.
FULL = {
    "submit": pb.Submit(request=pb.JobRequest(job="mine", kind=pb.JOB_KIND_NOOP, executor="any", numerics="strict",
                                              noop_tasks=1)),
    "done": pb.TaskDone(task=1, attempt=1, result=pb.TaskResult(noop=pb.NoopResult())),
    "failed": pb.TaskFailed(task=1, attempt=1, fault=pb.TaskFault(kind=pb.FAILURE_KIND_ERROR, code=b"internal", exit=-1)),
    "hello": pb.WorkerHello(worker="ann", lanes=[pb.LaneOffer(kind=pb.LaneClass(arch=b"cpu", threads=1))]),
}


def bodies(of, job: str):
    """Every kind of message there is, so also those that are added later; of control, every verb."""
    for field in of.DESCRIPTOR.oneofs_by_name["body"].fields:
        message = FULL.get(field.name) or getattr(pb, field.message_type.name)()
        if "job" in message.DESCRIPTOR.fields_by_name:
            message.job = job
        if field.name == "drain":
            message.worker = "w1"
        if field.name != "control_job":
            yield field.name, of(**{field.name: message})
            continue
        for verb in pb.JobVerb.values()[1:]:
            message.verb = verb
            yield f"control_job {pb.JobVerb.Name(verb)}", of(**{field.name: message})


def open_socket(context, endpoint: str, key: str | None, coordinator_key: str):
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    if key:
        dealer.curve_publickey, dealer.curve_secretkey, dealer.curve_serverkey = client.read_keys(Path(key), coordinator_key)
    monitor = dealer.get_monitor_socket(SHUT | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    dealer.connect(endpoint)
    return dealer, monitor


def handshake(monitor) -> str:
    if not monitor.poll(DEADLINE_MS):
        return "silent"
    event = recv_monitor_message(monitor)["event"]
    return "let in" if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else "refused by the door"


def envelope(number: int, body) -> bytes:
    kind = {"ClientRequest": "request_body", "FromWorker": "from_worker"}[body.DESCRIPTOR.name]
    return pb.Envelope(version_oldest=client.PROTOCOL_VERSION, version_newest=client.PROTOCOL_VERSION, request=number,
                       **{kind: body}).SerializeToString()


def say(answer: bytes) -> str:
    message = pb.Envelope.FromString(answer)
    body = getattr(message, message.WhichOneof("body"))
    kind = body.WhichOneof("body")
    return f"{kind} {getattr(body, kind).error.code}" if kind == "refused" else kind


def knock(context, endpoint: str, key: str | None, coordinator_key: str, messages: str, job: str):
    dealer, monitor = open_socket(context, endpoint, key, coordinator_key)
    answers = {}
    came = handshake(monitor)
    of = {"client": pb.ClientRequest, "worker": pb.FromWorker}.get(messages)
    for number, (name, body) in enumerate(bodies(of, job) if of and came == "let in" else ()):
        dealer.send(envelope(number, body))
        answers[name] = say(dealer.recv()) if dealer.poll(DEADLINE_MS) else "silent"
    dealer.disable_monitor()
    dealer.close()
    return answers or came


def main() -> None:
    context = zmq.Context()
    print(json.dumps([knock(context, **knocks) for knocks in json.loads(sys.argv[2])]))
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
