# SPDX-License-Identifier: GPL-2.0-only
"""Traces in other forms: programs, tests, reports, graphs."""
