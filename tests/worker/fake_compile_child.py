"""A compile child that does what its request's "graph" says, for tests of its owner: a real process that
speaks the real protocol, but makes no library."""

import json
import os
import socket
import subprocess
import sys
import time

requests = os.fdopen(int(sys.argv[1]))
replies = os.fdopen(int(sys.argv[2]), "w")
options = json.loads(sys.argv[3])
work = options["work_folder"]


def reply(**fields):
    replies.write(json.dumps(fields) + "\n")
    replies.flush()


def done(identity, text="made by the fake", name="model.so"):
    os.makedirs(f"{work}/request", exist_ok=True)
    path = f"{work}/request/{name}"
    if os.path.lexists(path):
        os.remove(path)
    with open(path, "w") as file:
        file.write(text)
    tell_done(identity, path)


def tell_done(identity, path):
    output = {"shape": [[1, 1], [3, 3]], "dtype": "float32", "strides": [3, 1]}
    reply(event="done", id=identity, library=path, compile_s=1.5, run_ms=2.5, run_peak_bytes=4096, outputs=[output])


def attempt(action):
    try:
        action()
        return "allowed"
    except OSError as error:
        return error.strerror


def connect():
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 9))


def connect_path():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/nobody-listens")


def write_to(path):
    with open(path, "a") as file:
        file.write("x")


def main():
    reply(event="hello", protocol=2, torch_git="test-git", recipe_sha256="0")
    for line in requests:
        request = json.loads(line)
        identity = request["id"]
        if "kernels" in request:  # the source says what comes out
            with open(request["kernels"]["source_path"]) as file:
                done(identity, f"{request['kernels']['arch']} {file.read()}", name="kernels.cubin")
            continue
        with open(request["graph_json_path"]) as file:
            word, _, argument = file.read().partition(" ")
        if word == "ok":
            done(identity)
        elif word == "refuse":
            reply(event="error", id=identity, message="cannot compile\nthis graph")
        elif word == "crash":
            os.abort()
        elif word == "exit":
            sys.stderr.write("about to give up\n")
            sys.exit(3)
        elif word == "hang":
            time.sleep(1000)
        elif word == "memory":  # in a child of the child
            subprocess.run([sys.executable, "-I", "-c", f"x = b'x' * {argument}; import time; time.sleep(1000)"])
        elif word == "processes":
            children = [subprocess.Popen(["sleep", "1000"]) for _ in range(int(argument))]
            children[0].wait()
        elif word == "garbage":
            replies.write("Segmentation fault\n")
            replies.flush()
            time.sleep(1000)
        elif word == "endless-line":
            while True:
                replies.write("x" * 65536)
        elif word == "other-id":
            done(identity + 1)
        elif word == "print":
            print('{"event": "done", "id": 1}', flush=True)
            os.write(2, b"noise on stderr\n")
            done(identity)
        elif word == "elsewhere":
            tell_done(identity, argument)
        elif word == "link":
            os.makedirs(f"{work}/request", exist_ok=True)
            os.symlink(argument, f"{work}/request/model.so")
            tell_done(identity, f"{work}/request/model.so")
        elif word == "environment":
            done(identity, json.dumps(dict(os.environ)))
        elif word == "network":
            done(identity, f"{attempt(connect)}, {attempt(connect_path)}")
        elif word == "sockets":
            kinds = ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM),
                     (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW))  # fmt: skip
            done(identity, ", ".join(attempt(lambda kind=kind: socket.socket(*kind).close()) for kind in kinds))
        elif word == "cut":
            done(identity, attempt(lambda: open(argument, "w").close()))
        elif word == "write":
            done(identity, attempt(lambda: write_to(argument)))
        elif word == "read":
            done(identity, attempt(lambda: open(argument).close()))
        elif word == "signal":
            done(identity, attempt(lambda: os.kill(int(argument), 0)))
        elif word == "compile":
            compiler, source = argument.split(" ")
            subprocess.run([compiler, "-fconstexpr-ops-limit=100000000000", "-fconstexpr-loop-limit=2147483647",
                            "-march=native", "-c", source, "-o", f"{work}/tmp/endless.o"])  # fmt: skip


main()
