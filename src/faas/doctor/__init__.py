"""Checks of an installation: what `faas doctor` runs. No check changes anything, and none outlasts its timeout."""

from faas.doctor.diagnosis import GROUPS, Diagnosis, Group, diagnose
from faas.doctor.finding import Finding, Status

__all__ = ["GROUPS", "Diagnosis", "Finding", "Group", "Status", "diagnose"]
