"""What runs by itself and what asks: incidents 11 to 14 and 20, and the shells' own grammar."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.workspace.commands import classify
from orchestration.workspace.shell_words import NotPlainError, split


@pytest.mark.parametrize(
    "command",
    [
        "ls", "ls -la src", "cat README.md", "head -n 5 a.py | grep -n import", "pytest -q tests/test_a.py::test_x",
        "python -m pytest -x", "python3.11 -m unittest discover -s tests", "npm test", "npm run lint", "npm test -- --watch=false",
        "node --test", "node --test tests/a.test.js", "cargo test", "go test ./...", "make test", "cd src && ls",
        "grep -rn 'def main' src", 'grep -rn "a b" .', "find . -name x.py -type f", "sed -n 1,20p a.py", "wc -l a.py; ls;",
        "ruff check src", "ruff format --check .", "mypy -p mine", "echo done", "cat a#b", "sort a | uniq -c", "bash -n run.sh",
        "rg -n TODO src", "ls a%b", "diff a.py b.py", "tsc --noEmit", "cat 'a b' && false || true", "pwd",
    ],
)  # fmt: skip
def test_plain_reading_and_testing_runs_by_itself(command: str) -> None:
    verdict = classify(command)
    assert (verdict.kind, verdict.reason) == ("allow", "")
    assert verdict.argvs


INCIDENTS = {
    11: ["ls\nrm -rf x", "cat <(id)", "echo ${v@P}", "ls =(id)", "echo $(id)", "echo `id`", "ls\rid", "echo \u2028id", "cat a\\\nb",
         "echo {a,b}", "ls *(e:id:)", "echo $'\\x61'", "ls & id", "ls |& id", "echo x > f", "cat < f", 'echo "$(id)"', "(ls)", "! ls",
         "ls \u200bx", "echo a\tb\vc", "if true; then id; fi", "f() { id; }", "ls \U000e0041"],
    12: ["find . -exec rm {} +", "find . -execdir id ';'", "find . -ok id ';'", "find . -delete", "find . -fprint out",
         "sed -i s/a/b/ f", "sed 's/a/b/w out' f", "sed -n '1e id' f", "sed --in-place s/a/b/ f", "sed -n 1p -i f", "sort -o out f", "sort -uo out f",
         "sort --output=out f", "sort --outp out f", "sort --compress-program=sh f", "uniq a b", "tee out", "rg --pre sh x", "awk 'BEGIN{system(1)}'",
         "tree -o out", "xargs rm", "dd if=a of=b", "python -m json.tool a b"],
    13: ["LD_PRELOAD=x ls", "PATH=. ls", "env ls", "export A=b", "typeset A=b", "eval ls", "exec ls", "source x", ". x", "command rm x",
         "builtin cd x", "alias ls=id", "trap id EXIT", "set -x", "=ls", "A=b", "nohup ls", "time ls", "sudo ls", "./ls", "/bin/ls"],
    14: ["npm install", "npm i", "npm ci", "npm exec x", "npx x", "pip install x", "python -m pip install x", "yarn add x", "yarn", "pnpm dlx x",
         "cargo install x", "cargo run", "go install x", "go run x", "go get x", "gem install x", "apt-get install x", "uv pip install x",
         "npm run postinstall", "make", "make install", "make test SHELL=sh", "mypy --install-types"],
    18: ["cat /etc/passwd", "cat ../secret", "ls ..", "grep -r key ~", "cat src/../../x", "grep --file=/etc/passwd x", "grep -f/etc/passwd x",
         "cat file:///etc/passwd", "pytest --rootdir=/ x", "find / -name x", "cd ..", "cd /", "cd", "cd -", "ls --x=../y", "head -n1 ~root/x",
         "diff a:/etc/passwd b"],
    20: ["python -c 'print(1)'", "python a.py", "node -e 1", "node a.js", "sh -c ls", "bash run.sh", "perl -e 1", "curl x", "wget x", "git log",
         "git status", "rm a", "mv a b", "cp a b", "touch a", "chmod +x a", "mkdir a", "kill 1", "ssh x", "docker ps", "ruff check --fix .",
         "node --test --require ./x", "node --test --import=./x", "go test -exec sh", "cargo test --config x", "unknown-tool", "file -C -m x"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "command"),
    [(number, command) for number, commands in INCIDENTS.items() for command in commands],
)
def test_incidents_ask(number: int, command: str) -> None:
    verdict = classify(command)
    assert verdict.kind == "ask"
    assert verdict.reason


@pytest.mark.parametrize(
    "command", ["", "   ", "ls &&", "| ls", "ls ;; ls", "ls || || ls", "'open", 'x "open', "; ls", "x" * 5000]
)
def test_what_is_no_command_asks(command: str) -> None:
    assert classify(command).kind == "ask"


def test_one_bad_part_makes_the_whole_ask() -> None:
    assert classify("ls && cat a.py | sh").kind == "ask"
    assert classify("ls; rm -rf x").argvs == (("ls",), ("rm", "-rf", "x"))


def test_words_and_quotes_are_those_of_a_shell() -> None:
    steps = split("""a 'b c' d"e f"'g' "" ; h|i&&j||k""")
    assert [(step.joined, *step.argv) for step in steps] == [
        ("", "a", "b c", "de fg", ""), (";", "h"), ("|", "i"), ("&&", "j"), ("||", "k"),
    ]  # fmt: skip


@given(
    st.lists(st.text(alphabet="abc/.-_= '\"$`\\;|&<>*?#~!{}()[]^%\n\té", max_size=8), min_size=1, max_size=5)
)
def test_what_passes_means_the_same_to_a_shell(words: list[str]) -> None:
    command = " ".join(words)
    try:
        steps = split(command)
    except NotPlainError:
        return
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    seen = list(lexer)
    ours = [word for step in steps for word in ([step.joined, *step.argv] if step.joined else step.argv)]
    assert seen in (ours, [*ours, ";"])
