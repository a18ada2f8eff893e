"""The audit trail: who changed what, recorded in the transaction of the change."""

from faas.audit.trail import Action, AuditEntry, AuditTrail, record

__all__ = ["Action", "AuditEntry", "AuditTrail", "record"]
