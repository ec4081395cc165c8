"""Weights that are no numbers are found wherever they lie, in every type, and the sum is the file's."""

import hashlib
import itertools
import math
import os
import unittest

from case import ImportCase  # first: it says where the others are

import torch
from kiln_import.failure import ImportFailure
from kiln_import.wan.stored_tensors import read_tensors
from kiln_import.wan.weight_check import checked_digest
from safetensors.torch import save_file

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
COUNT = 999
PIECE_BYTES = 64


class WeightCheckTest(ImportCase):
    def write(self, **tensors: torch.Tensor) -> str:
        path = self.path("weights.safetensors")
        save_file(tensors, path)
        return path

    def check(self, path: str, *names: str) -> str:
        tensors = read_tensors(path)
        return checked_digest(path, [tensors[name] for name in names or tensors], "the source", PIECE_BYTES)

    def test_the_sum_is_that_of_the_file(self):
        for dtype in DTYPES:
            path = self.write(a=torch.randn(COUNT).to(dtype), b=torch.zeros(0), c=torch.tensor(3.0), d=torch.randn(3, 5))
            with open(path, "rb") as file:
                expected = hashlib.sha256(file.read()).hexdigest()
            self.assertEqual(self.check(path), expected)
            self.assertEqual(self.check(path, "c"), expected)

    def test_what_is_no_number_is_found(self):
        for dtype, bad, place in itertools.product(DTYPES, (math.nan, math.inf, -math.inf), (0, 31, 32, 500, COUNT - 1)):
            values = torch.randn(COUNT).to(dtype)
            values.view(-1)[place] = torch.tensor(bad).to(dtype)
            if dtype == torch.float8_e4m3fn:  # knows no infinity, and what is too large may be made NaN or the largest
                values.view(torch.uint8)[place] = 0xFF if bad < 0 else 0x7F
            path = self.write(before=torch.randn(3), there=values, zbehind=torch.randn(3))
            with self.assertRaises(ImportFailure) as seen:
                self.check(path)
            self.assertEqual(str(seen.exception), "the source: there has weights that are NaN or infinite; fetch it again")
            self.check(path, "before", "zbehind")  # nobody uses it

    def test_the_largest_numbers_are_numbers(self):
        for dtype in DTYPES:
            largest = torch.finfo(dtype).max
            self.check(self.write(there=torch.tensor([largest, -largest, 0.0] * 50).to(dtype)))

    def test_a_file_that_shrinks_is_refused(self):
        path = self.write(there=torch.randn(COUNT))
        tensors = read_tensors(path)
        os.truncate(path, os.path.getsize(path) - 5)
        with self.assertRaises(ImportFailure):
            checked_digest(path, tensors.values(), path)


if __name__ == "__main__":
    unittest.main()
