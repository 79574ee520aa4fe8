#!/usr/bin/env python3
"""What README's tour asks of curl, for a machine without one: GET, or POST with -d, headers, --fail-with-body."""

import sys
import urllib.error
import urllib.request


def main(words: list[str]) -> int:
    """Print the body; 22 for an error status that --fail-with-body asks to hear of."""
    url, headers, data, fails = "", {}, None, False
    while words:
        match words.pop(0):
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                data = words.pop(0).encode()
            case "--fail-with-body":
                fails = True
            case "-sS":
                pass
            case word:
                url = word
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=30) as answer:
            print(answer.read().decode(), end="")
    except urllib.error.HTTPError as error:
        print(error.read().decode(), end="")
        return 22 if fails else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
