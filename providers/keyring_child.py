"""The process that asks the keyring of the system for `key_stores.py`: service and user name in, one JSON line out.

{"key": "…"}  or  {"key": null}  or  {"error": "…"}
"""

import json
import sys


def main() -> None:
    service, name = sys.argv[1:3]
    sys.stdout.write(json.dumps(answer(service, name)) + "\n")


def answer(service: str, name: str) -> dict[str, str | None]:
    import keyring  # only this process pays for it
    import keyring.errors

    try:
        return {"key": keyring.get_password(service, name)}
    except keyring.errors.NoKeyringError:
        return {"error": "no keyring service is there in this session"}
    except keyring.errors.KeyringLocked:
        return {"error": "it is locked: unlock it, then try again"}
    except Exception as error:  # noqa: BLE001 - backends raise what they please
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
