"""Figures of supervision: what is measured, beside what, against which bar."""
