"""Everything that goes out, in the protocol's own names and the client's units: plain JSON objects, since
lists of hundreds of lenses are made on each request.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from orchestration.review.view import HunkView, PlacedFinding
from server.anchors import Anchor
from server.client_profile import ClientProfile, PositionEncoding
from server.methods import command_of
from server.plain_text import one_line, several_lines
from server.positions import content_length, to_units
from server.text_buffer import OpenText
from server.text_edits import Edit, Spot, edits_between

Json = dict[str, Any]
_ANNOTATION = "antiphon"


def uri_of(path: Path | str) -> str:
    return "file://" + quote(str(path), safe="/:@!$&'()*+,;=~-._", errors="surrogateescape")


def position(lines: Sequence[str], spot: Spot, encoding: PositionEncoding) -> Json:
    character = to_units(lines[spot.line], spot.column, encoding) if spot.line < len(lines) else 0
    return {"line": spot.line, "character": character}


def range_of(lines: Sequence[str], start: Spot, end: Spot, encoding: PositionEncoding) -> Json:
    return {"start": position(lines, start, encoding), "end": position(lines, end, encoding)}


def text_edits(lines: Sequence[str], edits: Sequence[Edit], encoding: PositionEncoding) -> list[Json]:
    return [
        {"range": range_of(lines, edit.start, edit.end, encoding), "newText": edit.text} for edit in edits
    ]


def workspace_edit(buffer: OpenText, edits: Sequence[Edit], label: str, profile: ClientProfile) -> Json:
    changes = text_edits(buffer.lines, edits, profile.encoding)
    if not profile.document_changes:
        return {"changes": {buffer.uri: changes}}
    # Neovim takes an edit of version 0 for any version, and version 1 as one that 0 is not newer than.
    version = 1 if buffer.version == 0 and profile.name == "Neovim" else buffer.version
    document = {"textDocument": {"uri": buffer.uri, "version": version}, "edits": changes}
    if not profile.change_annotations:
        return {"documentChanges": [document]}
    for change in changes:
        change["annotationId"] = _ANNOTATION
    annotation = {"label": label, "needsConfirmation": False}
    return {"documentChanges": [document], "changeAnnotations": {_ANNOTATION: annotation}}


def resource_edit(operation: Json, label: str, profile: ClientProfile) -> Json:
    """A workspace edit of one operation on files."""
    if not profile.change_annotations:
        return {"documentChanges": [operation]}
    annotation = {"label": label, "needsConfirmation": False}
    return {
        "documentChanges": [operation | {"annotationId": _ANNOTATION}],
        "changeAnnotations": {_ANNOTATION: annotation},
    }


def apply_edit(buffer: OpenText, text: str, label: str, profile: ClientProfile) -> Json:
    """The params of `workspace/applyEdit` that make `buffer` hold `text`."""
    return {
        "label": label,
        "edit": workspace_edit(buffer, edits_between(buffer.lines, text), label, profile),
    }


def command(title: str, method: str, params: Json) -> Json:
    return {"title": title, "command": command_of(method), "arguments": [params]}


# Hints are the quietest: the proposal is no defect.
_HINT = 4
_SEVERITIES = {"error": 1, "warning": 2, "info": 3}


def diagnostic(
    anchor: Anchor[PlacedFinding], run_id: str, lines: Sequence[str], profile: ClientProfile
) -> Json:
    placed, finding = anchor.subject, anchor.subject.finding
    moved = anchor.line - placed.start_line
    start = Spot(anchor.line, placed.start_column)
    end = Spot(placed.end_line + moved, placed.end_column)
    message = several_lines(finding.message, 2_000)
    if not placed.exact:
        message += " (in a change that is not accepted yet)"
    item: Json = {
        "range": range_of(lines, start, end, profile.encoding),
        "severity": _SEVERITIES.get(finding.severity, 3),
        "code": finding.rule,
        "source": f"antiphon/{finding.tool}",
        "message": message,
    }
    if finding.url and profile.code_description:
        item["codeDescription"] = {"href": finding.url}
    if profile.diagnostic_data or profile.antiphon:
        item["data"] = {"findingId": finding.id, "runId": run_id, "baseHash": finding.base_hash}
    return item


def hunk_hints(
    hunks: Sequence[Anchor[HunkView]], run_id: str, lines: Sequence[str], profile: ClientProfile
) -> list[Json]:
    """Each open hunk as a hint, for clients without code lenses; its code actions do the rest."""
    shown = open_hunks(hunks)
    return [
        _hint(anchor, f"{number}/{len(shown)}", run_id, lines, profile)
        for number, anchor in enumerate(shown, 1)
    ]


def _hint(
    anchor: Anchor[HunkView], place: str, run_id: str, lines: Sequence[str], profile: ClientProfile
) -> Json:
    hunk = anchor.subject
    if hunk.state == "conflict":
        message = f"Conflict: {one_line(hunk.detail, 200)}; the proposed change can only be rejected"
    else:
        about = f": {one_line(hunk.reason, 200)}" if hunk.reason else ""
        message = (
            f"Proposed change {place} ({what_it_does(hunk)}){about}. Accept or reject it by a code action"
        )
    line = max(min(anchor.line, len(lines) - 1), 0)
    last = max(min(anchor.line + anchor.span, len(lines)) - 1, line)
    end = Spot(last, content_length(lines[last]) if lines else 0)
    item: Json = {
        "range": range_of(lines, Spot(line, 0), end, profile.encoding),
        "severity": _HINT,
        "code": "change",
        "source": "antiphon",
        "message": message,
    }
    if profile.diagnostic_data:
        item["data"] = {"hunkId": hunk.hunk_id, "runId": run_id}
    return item


def open_hunks(hunks: Sequence[Anchor[HunkView]]) -> list[Anchor[HunkView]]:
    """Those that wait for a decision."""
    return [anchor for anchor in hunks if anchor.subject.state in {"proposed", "conflict"}]


def fix_edits(placed: PlacedFinding) -> list[Edit]:
    fix = placed.finding.fix
    return [
        Edit(Spot(edit.start_line, edit.start_column), Spot(edit.end_line, edit.end_column), edit.text)
        for edit in (fix.edits if fix is not None else ())
    ]


def line_in(document: OpenText | None, anchor: Anchor[Any]) -> int:
    """Where an editor can show it: what is to follow the last line stands on that line."""
    return anchor.line if document is None else max(min(anchor.line, len(document.lines) - 1), 0)


def lenses(
    hunks: Sequence[Anchor[HunkView]], run_id: str, profile: ClientProfile, document: OpenText | None
) -> list[Json]:
    """Accept and reject at each open hunk; `show diff` where the client can draw one."""
    shown = open_hunks(hunks)
    found: list[Json] = []
    for number, anchor in enumerate(shown, 1):
        hunk = anchor.subject
        at = {"line": line_in(document, anchor), "character": 0}
        where = {"start": at, "end": at}
        if hunk.state == "conflict":
            why = one_line(hunk.detail, 80)
            found.append(
                {"range": where, "command": _decide(f"Conflict: {why} · Reject", run_id, hunk, "reject")}
            )
        else:
            accept = f"Accept {number}/{len(shown)} ({what_it_does(hunk)})"
            found.append({"range": where, "command": _decide(accept, run_id, hunk, "accept")})
            found.append({"range": where, "command": _decide("Reject", run_id, hunk, "reject")})
        if shows_diffs(profile):
            found.append({"range": where, "command": show_diff("Show diff", run_id, hunk, profile)})
    return found


def shows_diffs(profile: ClientProfile) -> bool:
    """Whether the client can show a diff: by a command of its own, or the unified one as a document of ours."""
    return profile.antiphon or (profile.virtual_documents and profile.show_document)


def show_diff(title: str, run_id: str, hunk: HunkView, profile: ClientProfile) -> Json:
    params = {"runId": run_id, "path": hunk.path, "hunkId": hunk.hunk_id}
    if profile.antiphon:
        return {"title": title, "command": "antiphon.showDiff", "arguments": [params]}
    return command(title, "antiphon/changes/diff", params)


def what_it_does(hunk: HunkView) -> str:
    """In a few words, for titles."""
    match hunk.kind:
        case "lines":
            return f"+{hunk.new_lines} -{hunk.old_lines}"
        case "rename":
            return f"rename to {one_line(PurePosixPath(hunk.path).name, 60)}"
        case "mode":
            return f"mode {one_line(hunk.new_text, 10)}"
        case "whole":
            return "replace the file"
        case "create" | "delete":
            return f"{hunk.kind} the file"


def _decide(title: str, run_id: str, hunk: HunkView, decision: str) -> Json:
    params = {"runId": run_id, "hunkIds": [hunk.hunk_id], "decision": decision}
    return command(title, "antiphon/changes/decide", params)
