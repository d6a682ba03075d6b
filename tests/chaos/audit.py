"""The audit: triggers that copy every change of a credential, and every event, in the transaction that makes it."""

from __future__ import annotations

from typing import Any

from django.db import connection

from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Credential, Incident
from jwt_upstream.tokens import fingerprints
from tests.chaos.logs import Log, fingerprint

_COLUMNS = (
    "kind, row_id, upstream, account, state_before, state, generation_before, generation, lease_before, lease, "
    "access_token, refresh_token, reason, by_whom"
)
_TABLE = """
CREATE TABLE chaos_audit (
    id {serial}, at double precision DEFAULT {clock}, kind varchar(20), row_id bigint,
    upstream varchar(100), account varchar(255), state_before varchar(20), state varchar(20),
    generation_before bigint, generation bigint, lease_before varchar(100), lease varchar(100),
    access_token text, refresh_token text, reason varchar(500), by_whom varchar(255))"""
_SERIALS = {
    "postgresql": "bigserial PRIMARY KEY",
    "mysql": "bigint AUTO_INCREMENT PRIMARY KEY",
    "sqlite": "integer PRIMARY KEY AUTOINCREMENT",
}
_CLOCKS = {
    "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())",
    "mysql": "(UNIX_TIMESTAMP(SYSDATE(6)))",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_INSERTED = """INSERT INTO chaos_audit ({columns}) VALUES ('row', NEW.id, NEW.upstream, NEW.account, '', NEW.state, -1,
    NEW.generation, '', NEW.lease, NEW.access_token, NEW.refresh_token, NEW.reason, '');"""
_UPDATED = """INSERT INTO chaos_audit ({columns}) VALUES ('row', NEW.id, NEW.upstream, NEW.account, OLD.state,
    NEW.state, OLD.generation, NEW.generation, OLD.lease, NEW.lease,
    NEW.access_token, NEW.refresh_token, NEW.reason, '');"""
_EVENT = """INSERT INTO chaos_audit ({columns}) VALUES (NEW.kind, NEW.id, NEW.upstream, NEW.account, NEW.state_before,
    NEW.state, -1, -1, '', '', NEW.access_fingerprint, NEW.refresh_fingerprint, NEW.reason, NEW.{by});"""
_TRIGGERS = [
    ("inserted", "INSERT", "jwt_upstream_credential", _INSERTED),
    ("updated", "UPDATE", "jwt_upstream_credential", _UPDATED),
    ("event", "INSERT", "jwt_upstream_event", _EVENT),
]


def install() -> None:
    """Make the table and the triggers."""
    vendor = connection.vendor
    with connection.cursor() as cursor:
        cursor.execute(_TABLE.format(serial=_SERIALS[vendor], clock=_CLOCKS[vendor]))
        for name, when, table, statement in _TRIGGERS:
            for sql in _trigger(
                vendor,
                f"chaos_{name}",
                when,
                table,
                statement.format(columns=_COLUMNS, by=connection.ops.quote_name("by")),
            ):
                cursor.execute(sql)


def _trigger(vendor: str, name: str, when: str, table: str, statement: str) -> list[str]:
    each = f"AFTER {when} ON {table} FOR EACH ROW"
    if vendor == "postgresql":
        body = f"BEGIN {statement} RETURN NULL; END"
        return [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
            f"CREATE TRIGGER {name} {each} EXECUTE FUNCTION {name}()",
        ]
    if vendor == "mysql":
        return [f"CREATE TRIGGER {name} {each} {statement.removesuffix(';')}"]
    return [f"CREATE TRIGGER {name} {each} BEGIN {statement} END"]


def copy_to(log: Log, boot_to_epoch: float) -> None:
    """Write the audit to the logs, tokens as fingerprints, by the logs' clock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, at, {_COLUMNS} FROM chaos_audit ORDER BY id")
        names = [column[0] for column in cursor.description]
        known = {"": ""}
        for row in cursor.fetchall():
            _copy(log, dict(zip(names, row, strict=True)), boot_to_epoch, known)


def _copy(log: Log, row: dict[str, Any], boot_to_epoch: float, known: dict[str, str]) -> None:
    """Write one record; ``known`` is what stands in the logs for the app's own fingerprints, by whichever key."""
    access, refresh = row.pop("access_token"), row.pop("refresh_token")
    if row["kind"] == "row":
        read = Credential(upstream=row["upstream"], account=row["account"])
        read.access_token, read.refresh_token = Encrypted(access), Encrypted(refresh)
        for token in (read.pair.access, read.pair.refresh):
            known |= dict.fromkeys(fingerprints(token), fingerprint(token))
        access, refresh = fingerprint(read.pair.access), fingerprint(read.pair.refresh)
    else:  # an event, whose row was written before it
        access, refresh = known[access], known[refresh]
    number, at = row.pop("id"), float(row.pop("at")) - boot_to_epoch
    account = f"{row.pop('upstream')}/{row.pop('account')}"
    log.write("audit", number=number, at=at, account=account, access=access, refresh=refresh, **row)


def copy_incidents_to(log: Log, boot_to_epoch: float) -> None:
    """Write the incidents, as they are in the end, to the logs."""
    for incident in Incident.objects.all():
        closed = incident.closed_at.timestamp() - boot_to_epoch if incident.closed_at else float("inf")
        log.write(
            "incident row",
            subject=incident.subject,
            incident=incident.pk,
            opened=incident.opened_at.timestamp() - boot_to_epoch,
            closed=closed,
            notified=incident.notified_at is not None,
            recovered=incident.recovery_notified_at is not None,
        )
