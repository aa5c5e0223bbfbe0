"""All benchmarks, one after the other: `python -m benchmarks`."""

import sys

from benchmarks import detector, encoding, machine, throughput, tracking


def main() -> None:
    for key, value in machine.describe().items():
        print(f"{key}: {value}")
    sys.argv = sys.argv[:1]
    for module in (detector, tracking, encoding, throughput):
        print(f"\n{module.__name__}")
        module.main()


if __name__ == "__main__":
    main()
