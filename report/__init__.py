# SPDX-License-Identifier: GPL-2.0-only
"""Showing: what a campaign or a trace looks like to a person."""
