"""`textDocument/codeAction`: fixes and dismissals of findings, decisions of hunks, of a file, of all."""

from collections.abc import Callable, Sequence

from lsprotocol import types

from orchestration.review.view import HunkView, PlacedFinding
from server import from_lsp, to_lsp
from server.anchors import Anchor
from server.client_profile import path_of
from server.diagnostics import findings_in, fixable
from server.host import Host
from server.plain_text import one_line
from server.reviews import Review
from server.text_buffer import OpenText

PARAMS = types.CodeActionParams
QUICK_FIX = "quickfix"
FIX = "quickfix.antiphon.fix"
DISMISS = "quickfix.antiphon.dismiss"
HUNK = "quickfix.antiphon.hunk"
SOURCE = "source.antiphon"
_DECISIONS = ("accept", "reject")


def handle(host: Host, params: types.CodeActionParams) -> list[to_lsp.Json]:
    uri = params.text_document.uri
    path = path_of(uri)
    if path is None:
        return []
    wanted = _filter(params.context.only)
    first, last = from_lsp.lines_of(params.range)
    document = host.session.document(uri)
    actions: list[to_lsp.Json] = []
    if wanted(QUICK_FIX):
        for review, findings in host.presenter.reviews.findings_at(path):
            for anchor in findings_in(findings, first, last):
                actions += _of_finding(host, review, anchor, document)
    for review, hunks in host.presenter.reviews.hunks_at(path):
        here = [
            anchor
            for anchor in hunks
            if (line := to_lsp.line_in(document, anchor)) <= last and first <= line + max(anchor.span - 1, 0)
        ]
        actions += _of_hunks(host, review, here, hunks)
    actions = [action for action in actions if wanted(action["kind"])]
    return actions if host.client.profile.action_literals else _as_commands(actions)


def _filter(only: Sequence[str] | None) -> Callable[[str], bool]:
    """A kind is asked for by its own name or by that of a kind above it."""
    asked = [str(getattr(kind, "value", kind)) for kind in only or ()]
    return lambda kind: (
        not asked
        or any(
            not base or kind == base or kind.startswith(f"{base}.") or base.startswith(f"{kind}.")
            for base in asked
        )
    )


def _of_finding(
    host: Host, review: Review, anchor: Anchor[PlacedFinding], document: OpenText | None
) -> list[to_lsp.Json]:
    finding = anchor.subject.finding
    params = {"runId": review.run_id, "findingId": finding.id}
    actions: list[to_lsp.Json] = []
    if finding.fix is not None and document is not None and fixable(anchor, document):
        fix: to_lsp.Json = {
            "title": one_line(finding.fix.title, 100) or f"Fix {finding.rule}",
            "kind": FIX,
            "isPreferred": True,
        }
        if "edit" in host.client.profile.action_resolve and host.client.profile.action_data:
            fix["data"] = params | {"uri": document.uri}
        else:
            fix["edit"] = fix_edit(host, document.uri, review.run_id, finding.id)
        actions.append(fix)
    dismiss = to_lsp.command(f"Dismiss {finding.rule}", "antiphon/finding/dismiss", params)
    actions.append({"title": f"Dismiss {finding.tool} {finding.rule}", "kind": DISMISS, "command": dismiss})
    return actions


def fix_edit(host: Host, uri: str, run_id: str, finding_id: str) -> to_lsp.Json | None:
    """The workspace edit of a finding's own fix; None when the buffer has moved on."""
    document = host.session.document(uri)
    if document is None or document.path is None:
        return None
    for review, findings in host.presenter.reviews.findings_at(document.path):
        for anchor in findings:
            if (
                review.run_id == run_id
                and anchor.subject.finding.id == finding_id
                and fixable(anchor, document)
            ):
                label = f"Antiphon: fix {anchor.subject.finding.rule}"
                edits = to_lsp.fix_edits(anchor.subject)
                return to_lsp.workspace_edit(document, edits, label, host.client.profile)
    return None


def _of_hunks(
    host: Host, review: Review, here: list[Anchor[HunkView]], in_file: list[Anchor[HunkView]]
) -> list[to_lsp.Json]:
    open_here = [anchor.subject for anchor in here if anchor.subject.state in {"proposed", "conflict"}]
    open_in_file = [anchor for anchor in in_file if anchor.subject.state in {"proposed", "conflict"}]
    actions: list[to_lsp.Json] = []
    for hunk in open_here:
        about = one_line(hunk.reason, 60) or to_lsp.what_it_does(hunk)
        for decision in _DECISIONS if hunk.state == "proposed" else ("reject",):
            title = f"{decision.capitalize()} this change: {about}"
            actions.append(_decision(title, HUNK, review, decision, {"hunkIds": [hunk.hunk_id]}))
        if to_lsp.shows_diffs(host.client.profile):
            show = to_lsp.show_diff("Show this change as a diff", review.run_id, hunk, host.client.profile)
            actions.append({"title": show["title"], "kind": HUNK, "command": show})
    for anchor in here:
        if anchor.subject.state == "accepted" and (
            decision_id := host.decision_of(review.run_id, anchor.subject)
        ):
            params = {"runId": review.run_id, "decisionId": decision_id}
            undo = to_lsp.command("Undo the accepted change", "antiphon/changes/undo", params)
            actions.append({"title": undo["title"], "kind": HUNK, "command": undo})
    if open_in_file:
        path = open_in_file[0].subject.path
        for decision in _DECISIONS:
            title = f"{decision.capitalize()} {_all(len(open_in_file))} in this file"
            actions.append(_decision(title, f"{SOURCE}.{decision}File", review, decision, {"path": path}))
        for decision in _DECISIONS:
            title = f"{decision.capitalize()} {_all(review.open_hunks())} of this run"
            actions.append(_decision(title, f"{SOURCE}.{decision}All", review, decision, {"all": True}))
    return actions


def _all(count: int) -> str:
    return "the only change" if count == 1 else f"all {count} changes"


def _decision(title: str, kind: str, review: Review, decision: str, which: to_lsp.Json) -> to_lsp.Json:
    params = {"runId": review.run_id, "decision": decision, **which}
    return {"title": title, "kind": kind, "command": to_lsp.command(title, "antiphon/changes/decide", params)}


def _as_commands(actions: list[to_lsp.Json]) -> list[to_lsp.Json]:
    """For clients that know commands only: what is nothing but an edit cannot be offered to them."""
    return [action["command"] for action in actions if "command" in action]
