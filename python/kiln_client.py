#!/usr/bin/python3
"""A client of a Kiln farm in one file: submit, watch, cancel, fetch. docs/protocol.md and net/kiln.proto are all it knows.

Needs pyzmq, protobuf and kiln_pb2.py, which the build makes from net/kiln.proto (build/release/python_pb).

    python3 kiln_client.py --coordinator tcp://host:7710 submit --model PACKAGE clip.mp4 -o large.mkv
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import re
import secrets
import shutil
import socket
import struct
import sys
import tarfile
import tomllib
import urllib.parse
from collections.abc import Callable
from pathlib import Path

HERE = Path(os.path.abspath(__file__)).parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("python_pb", "build/release/python_pb")]

try:
    import kiln_pb2 as pb
    import zmq
    from google.protobuf.message import DecodeError
    from zmq.utils import z85
except ImportError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(f"kiln_client: {missing}; it needs pyzmq, protobuf and kiln_pb2.py beside it or in PYTHONPATH, "
             "which the build, or `protoc --python_out=. kiln.proto`, makes from net/kiln.proto")

PROTOCOL_VERSION = 1
ANSWER_PATIENCE_S = 20
WATCH_WAIT_MS = 10_000
HTTP_DEADLINE_S = 60
PIECE_BYTES = 1 << 20
KEY_HEADER = ["kiln-curve-key", "1"]
SMALL_FILE_BYTES_MAX = 64 << 10
MANIFEST_BYTES_MAX = 4 << 20
PATIENCE_MOST_S = 86_400
JOB_NAME = re.compile("[a-z0-9][a-z0-9-]{0,63}")
ENDPOINT = re.compile(r"tcp://[^\s/]+:[0-9]{1,5}|ipc://.+")
ENDED = (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED)


class KilnError(Exception):
    """What a command ends with: one line, and the exit code that `kiln` has for it."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


def refusal(error: pb.Error) -> KilnError:
    by_code = {"not_found": 3, "unavailable": 4, "permission_denied": 5, "unauthenticated": 5, "deadline_exceeded": 6}
    return KilnError(error.message.decode(errors="replace"), error.exit if error.exit >= 0 else by_code.get(error.code, 1))


class Farm:
    """A connection to a coordinator. One question at a time."""

    def __init__(self, endpoint: str, key_file: str = "", coordinator_key: str = "", patience_s: float = ANSWER_PATIENCE_S):
        keys = read_keys(Path(key_file), coordinator_key) if key_file else None
        if not ENDPOINT.fullmatch(endpoint):
            raise KilnError(f"endpoint '{endpoint}': tcp://HOST:PORT or ipc://PATH is expected", 2)
        self._endpoint = endpoint
        self._patience_ms = int(patience_s * 1000)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        if keys:
            self._socket.curve_publickey, self._socket.curve_secretkey, self._socket.curve_serverkey = keys
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise KilnError(f"endpoint '{endpoint}': {error}", 2) from None
        self._request = 0

    def close(self) -> None:
        self._context.destroy(linger=0)

    def ask(self, wait_ms: int = 0, **body) -> pb.ClientReply:
        """ask(get_job=pb.GetJob(…)): the answer, or KilnError with the coordinator's words."""
        self._request += 1
        question = pb.Envelope(version_oldest=PROTOCOL_VERSION, version_newest=PROTOCOL_VERSION, request=self._request,
                               request_body=pb.ClientRequest(**body))
        self._socket.send(question.SerializeToString())
        while self._socket.poll(self._patience_ms + wait_ms):
            answer = pb.Envelope()
            try:
                answer.ParseFromString(self._socket.recv())
            except DecodeError:
                raise KilnError(f"what answers at {self._endpoint} does not speak this protocol", 65) from None
            if answer.request != self._request or answer.WhichOneof("body") != "reply":
                continue  # of an earlier question
            if answer.reply.WhichOneof("body") == "refused":
                raise refusal(answer.reply.refused.error)
            return answer.reply
        raise KilnError(f"no coordinator answers at {self._endpoint}", 4)

    def store(self, job: str, write: bool) -> Store:
        return Store(self.ask(ask_grants=pb.AskGrants(job=job, write=write)).grants)

    def status(self, job: str, after_revision: int = 0) -> pb.JobStatus:
        wait_ms = WATCH_WAIT_MS if after_revision else 0
        # Without segments: those of a long clip do not fit into one answer (ask for them with from_frame, segments_max).
        question = pb.GetJob(job=job, after_revision=after_revision, wait_ms=wait_ms, detail=pb.JOB_DETAIL_CLIPS)
        return self.ask(wait_ms, get_job=question).job_status

    def watch(self, job: str, tell: Callable[[pb.JobStatus], None] = lambda status: None) -> pb.JobStatus:
        """Until the job has ended."""
        status = self.status(job)
        tell(status)
        while status.summary.state not in ENDED:
            status = self.status(job, status.revision)
            tell(status)
        return status

    def cancel(self, job: str) -> None:
        self.ask(control_job=pb.ControlJob(job=job, verb=pb.JOB_VERB_CANCEL))

    def submit(self, model: Path, clips: list[Path], executor: str = "any", codec: str = "", title: str = "") -> str:
        """Sends package and clips to the store, then the job to the coordinator; the job's name."""
        manifest, files = read_package(model)
        job = f"python-{secrets.token_hex(8)}"
        request = pb.JobRequest(job=job, kind=pb.JOB_KIND_UPSCALE, title=(title or clips[0].stem).encode(),
                                executor=executor, numerics="strict", manifest=manifest)
        store = self.store(job, write=True)
        for name, sha256 in files.items():
            blob = store.upload(model / name)
            if blob.sha256 != sha256:
                raise KilnError(f"{model / name}: was changed since the package was made; import the model again", 65)
            request.package.files.add(path=name.encode(), blob=blob)
        for clip, output in zip(clips, output_names(clips), strict=True):
            source = pb.ClipSource(path=os.fsencode(clip.name), blob=store.upload(clip))
            request.clips.add(source=source, output=pb.OutputSettings(file_name=os.fsencode(output), codec=codec, quality=-1))
        self.ask(submit=pb.Submit(request=request))
        return job

    def fetch(self, job: str, output: Path, overwrite: bool = False) -> list[Path]:
        """Results into a folder, or of a single clip into a file. A sequence of images is named by its pattern."""
        status = self.status(job)
        if status.summary.state != pb.JOB_STATE_DONE:
            raise KilnError(f"{job}: there is no result to fetch; its state is {state_name(status)}")
        if len(status.clips) > 1 and not output.is_dir():
            raise KilnError(f"{output}: {len(status.clips)} results need a folder; make it first", 73)
        store, written = self.store(job, write=False), []
        for clip in status.clips:
            name = Path(os.fsdecode(clip.output)).name
            images = image_names(name)
            if images and not output.is_dir():
                raise KilnError(f"{output}: a sequence of images needs a folder; make it first", 73)
            path = output / name if output.is_dir() else output
            there = any(map(images.fullmatch, os.listdir(output))) if images else path.exists()
            if there and not overwrite:
                raise KilnError(f"{path}: exists already; choose another name or give --overwrite", 73)
            if images:
                store.download_images(clip.result, output, images)
            else:
                store.download(clip.result, path)
            written.append(path)
        return written


def read_keys(path: Path, coordinator_key: str) -> tuple[bytes, bytes, bytes]:
    """Our public and secret key, and the coordinator's public one: itself, or the name of a file that holds it."""
    words = read_words(path)
    if len(words) != 6 or words[:2] != KEY_HEADER or words[2::2] != ["public", "secret"] or not all(map(is_key, words[3::2])):
        raise KilnError(f"{path} is not a key file of Kiln, or it is damaged: make a new one with 'kiln keygen'", 65)
    if not coordinator_key:
        raise KilnError("--key needs --coordinator-key: the public key of the coordinator", 78)
    if not is_key(coordinator_key):
        given, file = coordinator_key, Path(coordinator_key)
        coordinator_key = " ".join(read_words(file)) if file.exists() else ""
        if not is_key(coordinator_key):
            raise KilnError(f"{given}: neither a public key nor a file that holds one", 78)
    return words[3].encode(), words[5].encode(), coordinator_key.encode()


def read_words(path: Path) -> list[str]:
    """Of a small file; what is no text is nothing that anybody asks for."""
    try:
        with open(path, "rb") as file:
            return file.read(SMALL_FILE_BYTES_MAX).decode("ascii", errors="replace").split()
    except OSError as error:
        raise KilnError(f"{path}: {error.strerror}", 66 if isinstance(error, FileNotFoundError) else 1) from None


def is_key(text: str) -> bool:
    try:
        return len(text) == 40 and z85.encode(z85.decode(text)) == text.encode()
    except (ValueError, KeyError, struct.error):
        return False


def read_package(folder: Path) -> tuple[bytes, dict[str, str]]:
    """The manifest's text, and the files of the package with their hashes, the manifest first."""
    path = folder / "manifest.toml"
    try:
        with open(path, "rb") as file:
            text = file.read(MANIFEST_BYTES_MAX + 1)
        manifest = tomllib.loads(text.decode())
        named = [manifest["weights"], *manifest["graph"]]
        files = {"manifest.toml": hashlib.sha256(text).hexdigest(), **{one["file"]: one["sha256"] for one in named}}
        good = len(text) <= MANIFEST_BYTES_MAX and all(is_inside(name) for name in files)
    except FileNotFoundError:
        raise KilnError(f"{folder}: no model package; make one with: kiln import upscaler FILE -o PACKAGE", 66) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KilnError(f"{path}: is no manifest of a model package: {error}", 65) from None
    except (KeyError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise KilnError(f"{path}: does not name weights and graphs as the manifest of a model package does", 65)
    return text, files


def is_inside(name: object) -> bool:
    """A relative path that leads out of no folder."""
    return isinstance(name, str) and all(part not in ("", ".", "..") for part in name.split("/"))


class Store:
    """Blobs over HTTP, by the signed queries that the coordinator gave."""

    def __init__(self, grants: pb.Grants):
        self._host = urllib.parse.urlsplit(grants.store_url.decode()).netloc
        self._grants = grants

    def _target(self, sha256: str, query: bytes) -> str:
        return f"/cas/{sha256}" + (f"?{query.decode()}" if query else "")

    def upload(self, path: Path) -> pb.BlobRef:
        try:
            with open(path, "rb") as file:
                blob = pb.BlobRef(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=file.tell())
                file.seek(0)
                self._put(blob, file)
        except FileNotFoundError:
            raise KilnError(f"{path}: no such file", 66) from None
        except (IsADirectoryError, PermissionError) as error:
            raise KilnError(f"{path}: {error.strerror}", 65) from None
        return blob

    def _put(self, blob: pb.BlobRef, file) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=HTTP_DEADLINE_S)
        try:
            connection.request("PUT", self._target(blob.sha256, self._grants.write_query), body=file,
                               headers={"Content-Length": str(blob.bytes)})
        except BrokenPipeError:
            pass  # the store has its answer before it has the bytes
        answer = connection.getresponse()
        if answer.status not in (200, 201, 204):
            raise KilnError(f"the store refused {blob.sha256}: {answer.status} {answer.read(4096).decode(errors='replace')}")
        connection.close()

    def download(self, blob: pb.BlobRef, path: Path) -> None:
        """The file has its name only when it is whole."""
        connection = http.client.HTTPConnection(self._host, timeout=HTTP_DEADLINE_S)
        connection.request("GET", self._target(blob.sha256, self._grants.read_query))
        answer = connection.getresponse()
        if answer.status != 200:
            raise KilnError(f"the store does not give {blob.sha256}: {answer.status}")
        partial, digest = part_of(path), hashlib.sha256()
        try:
            with new_file(partial) as file:
                while piece := answer.read(PIECE_BYTES):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != blob.sha256:
                raise KilnError(f"{path}: the store gave other bytes")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
            connection.close()

    def download_images(self, blob: pb.BlobRef, folder: Path, names: re.Pattern[str]) -> None:
        """The store holds a sequence as one archive. Images have their names only when all of them are here."""
        part = part_of(folder / names.pattern)
        shutil.rmtree(part, ignore_errors=True)  # of a command that was killed
        try:
            part.mkdir()
        except OSError as error:
            raise KilnError(f"{folder}: {error.strerror}", 73) from None
        try:
            self.download(blob, part / ".images.tar")
            unpacked = unpack_images(part / ".images.tar", part, names)
            earlier = {name for name in os.listdir(folder) if names.fullmatch(name)}
            for name in unpacked:
                (part / name).rename(folder / name)
            for name in earlier.difference(unpacked):
                (folder / name).unlink()
        finally:
            shutil.rmtree(part, ignore_errors=True)


def part_of(path: Path) -> Path:
    """Beside it, while it is not whole. Its own name may be as long as names can be: nothing is put in front or behind."""
    return path.with_name(f".kiln-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-fetch")


def new_file(path: Path):
    try:
        return open(path, "wb")
    except OSError as error:
        raise KilnError(f"{path}: {error.strerror}", 73) from None


def image_names(output: str) -> re.Pattern[str] | None:
    """What the files of "shot_%04d.png" are called; None: a name with no such field, or more than one, is a video's."""
    if not (found := re.fullmatch(r"([^%]*)%0*([0-9]{0,3})d([^%]*)", output)):
        return None
    before, digits, behind = found.groups()
    return re.compile(f"{re.escape(before)}[0-9]{{{digits or 1},}}{re.escape(behind)}")


def unpack_images(archive: Path, folder: Path, names: re.Pattern[str]) -> list[str]:
    """Plain files of those names, each once, into a folder that nobody else uses; all else is refused."""
    unpacked: list[str] = []
    try:
        with tarfile.open(archive, "r:") as images:
            for image in images:
                plain = image.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not image.issparse()
                if not plain or not names.fullmatch(image.name):
                    raise KilnError(f"the archive of images holds {image.name!r}, which is no image of that sequence", 65)
                with images.extractfile(image) as data, open(folder / image.name, "xb") as file:
                    shutil.copyfileobj(data, file, PIECE_BYTES)
                unpacked.append(image.name)
    except (tarfile.TarError, FileExistsError) as error:
        raise KilnError(f"{archive}: no archive of images: {error}", 65) from None
    return unpacked


def output_names(clips: list[Path]) -> list[str]:
    names: list[str] = []
    for clip in clips:
        name, number = f"{clip.stem}_up.mkv", 2
        while name in names:
            name, number = f"{clip.stem}_up_{number}.mkv", number + 1
        names.append(name)
    return names


def state_name(status: pb.JobStatus) -> str:
    return pb.JobState.Name(status.summary.state).removeprefix("JOB_STATE_").lower()


def show(status: pb.JobStatus) -> None:
    summary = status.summary
    print(f"{summary.job}: {state_name(status)}, frames {summary.frames_done}/{summary.frames_total}", file=sys.stderr)


def finish(farm: Farm, job: str) -> None:
    status = farm.watch(job, show)
    if status.summary.state != pb.JOB_STATE_DONE:
        raise KilnError(f"{job}: {state_name(status)}; {status.summary.reason.decode(errors='replace')}")


def run(farm: Farm, options: argparse.Namespace) -> None:
    if options.verb == "submit":
        job = farm.submit(options.model, options.clips, options.executor, options.codec)
        print(job, flush=True)
        if options.output:
            finish(farm, job)
            farm.fetch(job, options.output, options.overwrite)
    elif options.verb == "watch":
        finish(farm, options.job)
    elif options.verb == "cancel":
        farm.cancel(options.job)
    else:
        for path in farm.fetch(options.job, options.output, options.overwrite):
            print(path)


def patience(text: str) -> float:
    if not 0 < (seconds := float(text)) <= PATIENCE_MOST_S:
        raise argparse.ArgumentTypeError(f"more than 0, at most {PATIENCE_MOST_S} seconds")
    return seconds


def job_name(text: str) -> str:
    if not JOB_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no job's name")
    return text


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A client of a Kiln farm")
    parser.add_argument("--coordinator", required=True, help="tcp://HOST:PORT")
    parser.add_argument("--key", default="", help="our key pair (kiln keygen)")
    parser.add_argument("--coordinator-key", default="", help="the coordinator's public key, or a file with it")
    parser.add_argument("--patience", type=patience, default=ANSWER_PATIENCE_S, help="seconds to wait for an answer")
    verbs = parser.add_subparsers(dest="verb", required=True)
    submit = verbs.add_parser("submit", help="hand in a job; with -o wait for it and fetch its results")
    submit.add_argument("--model", type=Path, required=True, help="folder of the model package")
    submit.add_argument("--executor", default="any", choices=("any", "compiled", "uncompiled"))
    submit.add_argument("--codec", default="")
    submit.add_argument("clips", type=Path, nargs="+")
    fetch = verbs.add_parser("fetch", help="copy a job's results here")
    for verb in (verbs.add_parser("watch"), verbs.add_parser("cancel"), fetch):
        verb.add_argument("job", type=job_name)
    for verb, required in ((submit, False), (fetch, True)):
        verb.add_argument("-o", "--output", type=Path, required=required, help="a folder, or of one clip a file's name")
        verb.add_argument("--overwrite", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    try:
        farm = Farm(options.coordinator, options.key, options.coordinator_key, options.patience)
        try:
            run(farm, options)
        finally:
            farm.close()
    except KilnError as error:
        return tell(error, error.code)
    except (ConnectionError, TimeoutError, socket.gaierror, http.client.HTTPException) as error:
        return tell(f"the store cannot be reached: {error!r}", 4)
    except OSError as error:
        return tell(error, 74)
    except KeyboardInterrupt:
        return 130
    return 0


def tell(what: object, code: int) -> int:
    print("kiln_client:", " ".join(str(what).splitlines()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
