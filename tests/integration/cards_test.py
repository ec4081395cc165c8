"""Cards of a host: what `--device` does with those that the driver's library shows. The library is one of the tests' own,
so lanes start and are listed, and none of them renders."""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from unittest import mock

import clips
import fixtures
import processes
from farm_case import FarmCase
from kiln_case import KilnCase

DRIVER = fixtures.BINARY / "tests" / "fake_nvml_new"


def variables(pid: int) -> dict[str, str]:
    fields = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(field.split("=", 1) for field in fields if "=" in field)


class CardsTest(FarmCase):
    def set_variables(self, **values: str) -> None:
        patch = mock.patch.dict(os.environ, {"LD_LIBRARY_PATH": str(DRIVER), **values})
        patch.start()
        self.addCleanup(patch.stop)
        if "CUDA_VISIBLE_DEVICES" not in values:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)

    def lanes(self, worker) -> list[dict]:
        self.wait_for_worker()
        self.assertIsNone(worker.poll(), self.said(worker))
        return self.ask("workers")["workers"][0]["lanes"]

    def test_each_card_has_a_lane_that_sees_it_alone(self) -> None:
        self.set_variables()
        self.start_coordinator()
        worker = self.start_worker("w1", "--device", "cuda", "--vram-cap", "2GiB")
        lanes = self.lanes(worker)
        self.assertEqual([lane["arch"] for lane in lanes], ["sm_90", "sm_86"])
        self.assertEqual([lane["device_name"] for lane in lanes], ["NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 3060"])
        self.assertEqual([lane["card"]["driver"] for lane in lanes], ["580.95.05"] * 2)
        self.assertEqual([lane["card"]["fp8"] for lane in lanes], [True, False])
        self.assertEqual([lane["budget_bytes"] for lane in lanes], [1344 << 20] * 2)
        table = self.kiln("workers").out
        self.assertIn("card 1: NVIDIA GeForce RTX 3060, 11.5 GiB of 12.0 GiB free when it started", table)
        started = processes.wait_for("two lanes", lambda: len(found := processes.named(worker.pid, "kiln-lane")) == 2 and found)
        self.assertEqual(sorted(variables(lane.pid)["CUDA_VISIBLE_DEVICES"] for lane in started),
                         sorted(lane["card"]["uuid"] for lane in lanes))
        shares = {variables(lane.pid)["CUDA_VISIBLE_DEVICES"]: variables(lane.pid)["PYTORCH_ALLOC_CONF"] for lane in started}
        for lane in lanes:  # what the cap leaves to the allocator of each
            share = float(shares[lane["card"]["uuid"]].removeprefix("per_process_memory_fraction:"))
            self.assertAlmostEqual(share * lane["card"]["memory_bytes"] / (1448 << 20), 1, places=2)

    def test_lanes_are_on_the_cards_that_are_named(self) -> None:
        self.set_variables(FAKE_NVML_CARDS="5", CUDA_VISIBLE_DEVICES="4,3,1,0")
        self.start_coordinator()
        lanes = self.lanes(self.start_worker("w1", "--device", "cuda:3,cuda:0"))
        self.assertEqual([lane["card"]["index"] for lane in lanes], [0, 4])

    def test_what_does_not_fit_is_one_line(self) -> None:
        self.set_variables()
        refusals = [(78, "tpu:0", {}, "device 'tpu:0': it is cpu, cuda"),
                    (3, "cuda:2", {}, "no such card: cuda:2; cuda:0 to cuda:1 are here"),
                    (3, "cuda", {"FAKE_NVML_CARDS": "0"}, "no card here"),
                    (1, "cuda", {"FAKE_NVML_CUDA": "12080"}, "can run CUDA 12.8 at most"),
                    (1, "cuda", {"LD_LIBRARY_PATH": f"{DRIVER.parent}/fake_nvml_old"}, "this NVIDIA driver is too old")]
        for code, device, values, words in refusals:
            with self.subTest(device=device, **values), mock.patch.dict(os.environ, values):
                worker = self.start_worker("w1", "--device", device)
                run = self.finish(worker)
                self.assertEqual(run.code, code, run.err)
                self.assertEqual(len(run.err.splitlines()), 1, run.err)
                self.assertIn(words, run.err)
                self.assertNotIn("device cuda:2", run.err, "named twice")


class NoCardTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.dict(os.environ, {"CUDA_VISIBLE_DEVICES": ""})
        patch.start()
        self.addCleanup(patch.stop)
        self.source = clips.make(self.folder / "clip.mkv", 4)
        self.output = self.folder / "out.mkv"

    def test_auto_renders_on_the_cpu_and_says_so(self) -> None:
        self.upscale(self.source, self.output, "--device", "auto")
        self.assertEqual(len(clips.frame_hashes(self.output)), 4)
        self.assertIn("lanes run on the CPU: no ", (self.state / "worker.log").read_text())

    def test_cards_that_are_not_there_are_one_line(self) -> None:
        self.refuse(3, ["device cuda: no "], self.source, self.output, "--device", "cuda")
        self.refuse(78, "device 'gpu': it is cpu, cuda", self.source, self.output, "--device", "gpu")

    def test_a_rank_has_one_device(self) -> None:
        for device in ("auto", "cuda:0,cuda:1"):
            run = self.run_command([str(fixtures.KILN), "mpi", "--job", "job.toml", "--device", device])
            self.assertEqual(run.code, 78, run.err)
            self.assertIn("every rank is a worker with one device", run.err)


if __name__ == "__main__":
    unittest.main()
