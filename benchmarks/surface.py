"""How often the reported surface flips, how late it commits, what a glitch does: one table, fixed seeds.

    .venv/bin/python -m benchmarks.surface [--runs 60]

One sample a second through the product's own classification and hysteresis, at a straight edge. GPS noise of standard
deviation s metres is white (w) or correlated (c: first order, 0.9 from one second to the next). Flips: standing on the
edge for ten minutes. Latency: walking across at 1.3 m/s. Glitches: ten metres inside, one sample in a hundred 30 m off.
Wrong: seconds a minute on the wrong side while walking to and fro across the edge.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from routing import surface
from routing.geometry import LocalPoint
from routing.golf import hysteresis
from routing.golf.hysteresis import Damping, Memory, Sample
from routing.surface import Candidate, Margins, Source, Surface

SECONDS = 600
WALK_MPS, WALK_S = 1.3, 60
NOISES = ((0.5, 0.0), (1.0, 0.0), (3.0, 0.0), (1.0, 0.9), (3.0, 0.9))
Report = Callable[[Sequence[float], float], list[bool]]


@dataclass(frozen=True)
class Policy:
    """One way to decide: the band's width, whether it follows the accuracy, and how many agreeing samples commit."""

    name: str
    margin_m: float
    uses_accuracy: bool
    needed: int

    def reports(self, inside_m: Sequence[float], accuracy_m: float) -> list[bool]:
        """Whether each sample's answer is ON_GREEN."""
        margin_m = Margins(surface_m=self.margin_m).around_edge_m(accuracy_m if self.uses_accuracy else None)
        damping = Damping(commit_on_streak=self.needed, commit_off_streak=self.needed)
        memory, said = Memory(), []
        for distance_m in inside_m:
            found = Candidate(*surface.by_distance(distance_m, margin_m), Source.OUTLINE, margin_m)
            memory = hysteresis.step(memory, found, Sample(LocalPoint(distance_m, 0)), damping=damping).memory
            said.append(memory.reported is Surface.ON_GREEN)
        return said


POLICIES = (
    Policy("raw classification", 0.0, False, 1),
    Policy("2 in a row", 0.0, False, 2),
    Policy("3 in a row", 0.0, False, 3),
    Policy("5 in a row", 0.0, False, 5),
    Policy("band 0.5 m", 0.5, False, 1),
    Policy("band 0.5 m, 2 in a row (0.5.0)", 0.5, False, 2),
    Policy("band by accuracy, 2 in a row (0.6.0)", 0.5, True, 2),
    Policy("band by accuracy, 3 in a row", 0.5, True, 3),
)


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    runs = parser.parse_args().runs
    edge = [f"flips/min {s:g}{'c' if rho else 'w'}" for s, rho in NOISES]
    heads = ["policy", *edge, "latency s 1c p50/p95", "latency s 3c p50/p95", "glitch flips/h", "wrong s/min 1c"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for policy in POLICIES:
        cells = [f"{_flips_per_min(policy, s, rho, runs):.1f}" for s, rho in NOISES]
        cells += [_latency(policy, s, runs) for s in (1.0, 3.0)]
        cells += [f"{_glitch_flips_per_h(policy, runs):.1f}", f"{_wrong_s_per_min(policy, runs):.1f}"]
        print(f"| {policy.name} | {' | '.join(cells)} |")


def _noise(seed: int, seconds: int, sigma_m: float, rho: float) -> np.ndarray:
    """Noise of this standard deviation, (seconds,); rho is the correlation from one second to the next."""
    steps = np.random.default_rng(seed).standard_normal(seconds)
    steps[1:] *= np.sqrt(1 - rho**2)
    for second in range(1, seconds):
        steps[second] += rho * steps[second - 1]
    return sigma_m * steps


def _flips(said: Sequence[bool]) -> int:
    return sum(one is not other for one, other in pairwise(said))


def _flips_per_min(policy: Policy, sigma_m: float, rho: float, runs: int) -> float:
    flips = [_flips(policy.reports(_noise(seed, SECONDS, sigma_m, rho).tolist(), sigma_m)) for seed in range(runs)]
    return float(np.mean(flips)) / (SECONDS / 60)


def _latency(policy: Policy, sigma_m: float, runs: int) -> str:
    """Seconds from crossing the edge to the report that stays."""
    path = WALK_MPS * (WALK_S / 2 - np.arange(WALK_S))
    waits = []
    for seed in range(runs * 5):
        said = policy.reports((path + _noise(seed, WALK_S, sigma_m, 0.9)).tolist(), sigma_m)
        last_on = max((second for second, is_on in enumerate(said) if is_on), default=0)
        waits.append(max(0, last_on + 1 - WALK_S // 2))
    return f"{np.percentile(waits, 50):.0f}/{np.percentile(waits, 95):.0f}"


def _glitch_flips_per_h(policy: Policy, runs: int) -> float:
    flips = 0
    for seed in range(runs):
        inside_m = 10 + _noise(seed, SECONDS, 1.0, 0.9)
        inside_m[np.random.default_rng(10_000 + seed).random(SECONDS) < 0.01] -= 30
        flips += _flips(policy.reports(inside_m.tolist(), 1.0))
    return flips / (runs * SECONDS / 3600)


def _wrong_s_per_min(policy: Policy, runs: int) -> float:
    """Walking between 10 m inside and 10 m outside."""
    way_m = 10 - np.abs((WALK_MPS * np.arange(SECONDS)) % 40 - 20)
    wrong = 0
    for seed in range(runs):
        said = policy.reports((way_m + _noise(seed, SECONDS, 1.0, 0.9)).tolist(), 1.0)
        wrong += sum(is_on is not (true_m > 0) for is_on, true_m in zip(said, way_m.tolist(), strict=True))
    return wrong / (runs * SECONDS / 60)


if __name__ == "__main__":
    main()
